"""The simulated robot alone: joint states out, position commands in, as the contract names them.

ros2 launch vdd_ros sim.launch.py task:=avoid
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    config = PathJoinSubstitution([FindPackageShare("vdd_ros"), "config", "panda_avoid.yaml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "contract", default_value=config, description="Contract YAML of the robot"
            ),
            DeclareLaunchArgument(
                "task", default_value="avoid", description="Name of the simulated task"
            ),
            DeclareLaunchArgument(
                "seed", default_value="0", description="Seed of the first episode of the simulation"
            ),
            DeclareLaunchArgument(
                "time_base",
                default_value="wall",
                choices=["wall", "sim"],
                description="wall: real time and system stamps; sim: /clock from 1 s on, as fast "
                "as commands answer, for nodes with use_sim_time",
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
            Node(
                package="vdd_ros",
                executable="sim_node",
                name="sim_node",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                sigterm_timeout="20",  # what is recorded is saved, however busy the machine is
                arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    {
                        "contract": ParameterValue(LaunchConfiguration("contract"), value_type=str),
                        "task": ParameterValue(LaunchConfiguration("task"), value_type=str),
                        "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                        "time_base": ParameterValue(
                            LaunchConfiguration("time_base"), value_type=str
                        ),
                    }
                ],
                on_exit=Shutdown(reason="sim_node has ended"),
            ),
        ]
    )
