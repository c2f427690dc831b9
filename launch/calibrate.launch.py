"""Calibrate the robot at hand: calibration_node, and what it needs beside it.

On the simulated robot, moving by itself:
    ros2 launch vdd_ros calibrate.launch.py kind:=latency sim:=true calibration:=calibration
On the simulated robot, with a camera that sees a board on the arm:
    ros2 launch vdd_ros calibrate.launch.py kind:=intrinsics sim:=true board:=board.yaml \
        camera:=front contract:=config/panda_cameras.yaml \
        kinematics:=config/kinematics/panda_tools.yaml
On a real robot, moving only once you say so; keep the e-stop at hand:
    ros2 launch vdd_ros calibrate.launch.py kind:=latency drive:=true contract:=my_robot.yaml \
        calibration:=calibration
Watch for drift, beside whatever runs:
    ros2 launch vdd_ros calibrate.launch.py kind:=drift contract:=my_robot.yaml \
        calibration:=calibration
"""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from vdd_ros.nodes.launch_contract import require_contract


def generate_launch_description():
    share = FindPackageShare("vdd_ros")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "kind",
                choices=[
                    "joints",
                    "hand_eye",
                    "intrinsics",
                    "gripper",
                    "latency",
                    "drift",
                    "frames",
                ],
                description="What is calibrated; frames: nothing, but /tf_static is told",
            ),
            DeclareLaunchArgument(
                "contract",
                default_value="",
                description="Contract YAML of the robot; needed unless sim:=true, where empty is "
                "config/panda_avoid.yaml",
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
                "device",
                default_value="",
                description="joints: YAML of the leader, which is listened to on its own topic; "
                "empty: what comes on the contract's teleop topic",
            ),
            DeclareLaunchArgument(
                "poses",
                default_value="20",
                description="joints, hand_eye, intrinsics: poses to take",
            ),
            DeclareLaunchArgument(
                "camera",
                default_value="",
                description="hand_eye, intrinsics: name of one of the contract's cameras",
            ),
            DeclareLaunchArgument(
                "board",
                default_value="",
                description="hand_eye, intrinsics: YAML file of the board",
            ),
            DeclareLaunchArgument(
                "mounting",
                default_value="eye_to_hand",
                choices=["eye_in_hand", "eye_to_hand"],
                description="Whether the camera is on the arm, or beside it and the board on the "
                "arm",
            ),
            DeclareLaunchArgument(
                "camera_info",
                default_value="",
                description="hand_eye: YAML file of the camera's intrinsics, empty: those of the "
                "calibration; intrinsics: such a file to be written for the driver",
            ),
            DeclareLaunchArgument(
                "kinematics",
                default_value="",
                description="YAML of the arm's kinematics, where the contract has none",
            ),
            DeclareLaunchArgument(
                "seed", default_value="0", description="Seed of the poses that are tried"
            ),
            DeclareLaunchArgument(
                "stay",
                default_value="false",
                choices=["true", "false"],
                description="Whether it goes on telling /tf_static once it is done",
            ),
            DeclareLaunchArgument(
                "stretch",
                default_value="10.0",
                description="drift: seconds that count as an episode does",
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
            OpaqueFunction(function=require_contract),
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
            node(
                "sim_camera_node",
                condition=IfCondition(looks()),
                camera=text("camera"),
                board=text("board"),
                mounting=text("mounting"),
                task=text("task"),
                kinematics=text("kinematics"),
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
                device=text("device"),
                poses=whole("poses"),
                camera=text("camera"),
                board=text("board"),
                mounting=text("mounting"),
                camera_info=text("camera_info"),
                kinematics=text("kinematics"),
                seed=whole("seed"),
                task=ParameterValue(simulated(), value_type=str),
                stay=ParameterValue(LaunchConfiguration("stay"), value_type=bool),
                stretch=number("stretch"),
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
        sigterm_timeout="20",  # what is recorded is saved, however busy the machine is
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        parameters=[{"contract": text("contract"), **parameters}],
        condition=condition,
        on_exit=Shutdown(reason=f"{name} has ended"),
    )


def moves():
    """Whether the arm is moved through a gate: drift only listens, beside whatever runs, and an arm
    that followed its leader would stand where the leader says, whatever that is off by."""
    kind, drive = LaunchConfiguration("kind"), LaunchConfiguration("drive")
    return PythonExpression(
        ["'", kind, "' not in ('drift', 'frames') and '", kind, drive, "' != 'jointsfalse'"]
    )


def looks():
    """Whether a camera has to be simulated."""
    sim, kind = LaunchConfiguration("sim"), LaunchConfiguration("kind")
    return PythonExpression(
        ["'", sim, "' == 'true' and '", kind, "' in ('hand_eye', 'intrinsics')"]
    )


def simulated():
    """The simulated task, or nothing of a real robot."""
    sim, task = LaunchConfiguration("sim"), LaunchConfiguration("task")
    return PythonExpression(["'", task, "' if '", sim, "' == 'true' else ''"])


def records():
    """Whether it is estimated from episodes."""
    return PythonExpression(["'", LaunchConfiguration("kind"), "' in ('latency', 'gripper')"])


def text(name):
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def number(name):
    return ParameterValue(LaunchConfiguration(name), value_type=float)


def whole(name):
    return ParameterValue(LaunchConfiguration(name), value_type=int)
