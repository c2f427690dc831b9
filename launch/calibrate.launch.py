"""Calibrate the robot at hand: calibration_node, and what it needs beside it.

On the simulated robot, moving by itself:
    ros2 launch vdd_ros calibrate.launch.py kind:=latency sim:=true calibration:=calibration
On a real robot, moving only once you say so; keep the e-stop at hand:
    ros2 launch vdd_ros calibrate.launch.py kind:=latency drive:=true calibration:=calibration
Watch for drift, beside whatever runs:
    ros2 launch vdd_ros calibrate.launch.py kind:=drift calibration:=calibration
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    share = FindPackageShare("vdd_ros")
    config = PathJoinSubstitution([share, "config", "panda_avoid.yaml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "kind",
                choices=["joints", "hand_eye", "intrinsics", "gripper", "latency", "drift"],
                description="What is calibrated",
            ),
            DeclareLaunchArgument(
                "contract", default_value=config, description="Contract YAML of the robot"
            ),
            DeclareLaunchArgument(
                "calibration",
                default_value="calibration",
                description="Folder of the robot's calibration files, to which one is added",
            ),
            DeclareLaunchArgument(
                "directory",
                default_value="calibrations",
                description="Folder for the recordings that it is estimated from",
            ),
            DeclareLaunchArgument(
                "sim",
                default_value="false",
                choices=["true", "false"],
                description="Whether the simulator takes the robot's place",
            ),
            DeclareLaunchArgument(
                "task", default_value="avoid", description="Name of the simulated task"
            ),
            DeclareLaunchArgument(
                "drive",
                default_value=LaunchConfiguration("sim"),
                choices=["true", "false"],
                description="Whether it moves the arm, through the gate; otherwise a person does; "
                "by default only in simulation",
            ),
            DeclareLaunchArgument(
                "joints",
                default_value="",
                description="Joints and cameras that are meant, separated by spaces; empty: all",
            ),
            DeclareLaunchArgument(
                "share",
                default_value="0.3",
                description="Share of the contract's limits that it moves with",
            ),
            DeclareLaunchArgument(
                "reach",
                default_value="0.2",
                description="How far from where it is a joint is moved [rad, m]",
            ),
            DeclareLaunchArgument(
                "seconds",
                default_value="8.0",
                description="For each joint that is moved, or for a person to move the arm [s]",
            ),
            DeclareLaunchArgument(
                "least", default_value="0.001", description="What matters of a drift [rad, m]"
            ),
            DeclareLaunchArgument(
                "namespace",
                default_value="",
                description="Namespace of all nodes and of the contract's relative topics: one for "
                "each of two arms",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error", "fatal"],
                description="Least severe messages that the nodes log",
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(
                    PathJoinSubstitution([share, "launch", "sim.launch.py"])
                ),
                launch_arguments={
                    "contract": LaunchConfiguration("contract"),
                    "task": LaunchConfiguration("task"),
                    "namespace": LaunchConfiguration("namespace"),
                    "log_level": LaunchConfiguration("log_level"),
                }.items(),
                condition=IfCondition(LaunchConfiguration("sim")),
            ),
            node("command_gate", condition=IfCondition(moves())),
            node(
                "recorder_node",
                condition=IfCondition(records()),
                directory=text("directory"),
                name_prefix=text("kind"),
                task=text("kind"),
            ),
            node(
                "calibration_node",
                kind=text("kind"),
                calibration=text("calibration"),
                directory=text("directory"),
                drive=ParameterValue(LaunchConfiguration("drive"), value_type=bool),
                joints=text("joints"),
                share=number("share"),
                reach=number("reach"),
                seconds=number("seconds"),
                least=number("least"),
            ),
        ]
    )


def node(name, condition=None, **parameters):
    """One of this package's nodes; when it ends, everything does."""
    return Node(
        package="vdd_ros",
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        parameters=[{"contract": text("contract"), **parameters}],
        condition=condition,
        on_exit=Shutdown(reason=f"{name} has ended"),
    )


def moves():
    """Whether the arm is moved for it: drift only listens, beside whatever runs."""
    return PythonExpression(["'", LaunchConfiguration("kind"), "' != 'drift'"])


def records():
    """Whether it is estimated from episodes."""
    return PythonExpression(["'", LaunchConfiguration("kind"), "' in ('latency', 'gripper')"])


def text(name):
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def number(name):
    return ParameterValue(LaunchConfiguration(name), value_type=float)
