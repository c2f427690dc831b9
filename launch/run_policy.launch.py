"""Run a bundle on the robot: action_node, which is the one publisher of robot commands meanwhile,
and beside it flight_recorder_node, which keeps what led to a stop.

On a real robot, moving only once you say so:
    ros2 launch vdd_ros run_policy.launch.py contract:=my_robot.yaml bundle:=out/bundle \
        autostart:=false
    ros2 lifecycle set /action_node configure; ros2 lifecycle set /action_node activate
On the simulated robot, at once:
    ros2 launch vdd_ros run_policy.launch.py bundle:=out/bundle sim:=true
One of two arms:
    ros2 launch vdd_ros run_policy.launch.py contract:=my_robot.yaml bundle:=out/bundle \
        namespace:=left
"""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from vdd_ros.nodes.launch_contract import require_contract


def generate_launch_description():
    share = FindPackageShare("vdd_ros")
    home = EnvironmentVariable("HOME", default_value=".")
    return LaunchDescription(
        [
            DeclareLaunchArgument("bundle", description="Folder of the bundle to run"),
            DeclareLaunchArgument(
                "contract",
                default_value="",
                description="Contract YAML of the robot; needed unless sim:=true, where empty is "
                "config/panda_avoid.yaml",
            ),
            DeclareLaunchArgument(
                "calibration",
                default_value="",
                description="Calibration file, or the folder of them, whose latencies are allowed "
                "for; empty: those of the contract",
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
                "autostart",
                default_value=LaunchConfiguration("sim"),
                choices=["true", "false"],
                description="Whether action_node configures and activates itself; otherwise "
                "`ros2 lifecycle set` does; by default only in simulation",
            ),
            DeclareLaunchArgument(
                "seed",
                default_value="0",
                description="Seed of the policy's draws and the simulation",
            ),
            DeclareLaunchArgument(
                "mode",
                default_value="drive",
                choices=["drive", "shadow"],
                description="shadow: everything but the robot's commands, beside whoever drives",
            ),
            DeclareLaunchArgument(
                "require_certificate",
                default_value="none",
                choices=["none", "sim_pass", "complete"],
                description="What the bundle's certificate must say before the arm is moved: that "
                "it passed in simulation with delays, or also that everything was measured",
            ),
            DeclareLaunchArgument(
                "trusted_keys",
                default_value="",
                description="Public key, or folder of public keys, of which one must have signed "
                "the bundle, and each engine that is run; empty: anyone, or nobody",
            ),
            DeclareLaunchArgument(
                "runtime",
                default_value="auto",
                choices=["auto", "onnxruntime", "numpy", "compiled", "tensorrt"],
                description="What runs the bundle's graphs; tensorrt: in engines that were built "
                "on this computer (vdd export --tensorrt)",
            ),
            DeclareLaunchArgument(
                "planning",
                default_value="auto",
                choices=["auto", "inline", "thread"],
                description="Whether the policy plans within a control tick or beside the ticks; "
                "auto: by what a plan takes",
            ),
            DeclareLaunchArgument(
                "start_tolerance",
                default_value="0.1",
                description="How far from where demonstrations began a joint may be "
                "[rad, m, fraction]",
            ),
            DeclareLaunchArgument(
                "most_missed",
                default_value="20",
                description="Deadlines that may be missed before the arm is brought to rest, "
                "0: any",
            ),
            DeclareLaunchArgument(
                "on_out_of_distribution",
                default_value="warn",
                choices=["warn", "slow", "hold"],
                description="What is done while observations are unlike those trained on: say so, "
                "slow down as well, or bring the arm to rest and ask",
            ),
            DeclareLaunchArgument(
                "slow_speed",
                default_value="0.1",
                description="With on_out_of_distribution slow, share of the velocity limits",
            ),
            DeclareLaunchArgument(
                "home",
                default_value="",
                description="Joints that ~/go_home brings the arm to, separated by spaces; empty: "
                "the middle of where demonstrations began",
            ),
            DeclareLaunchArgument(
                "home_speed",
                default_value="0.2",
                description="Share of the limits on the way home",
            ),
            DeclareLaunchArgument(
                "robot",
                default_value="",
                description="Full name of the node that must listen to commands, such as "
                "/forward_position_controller; empty: any that is no recorder",
            ),
            DeclareLaunchArgument(
                "send_after",
                default_value="0.0",
                description="Seconds from the beginning of a control tick to the sending of its "
                "command, so that commands leave evenly; 0: as soon as it is known",
            ),
            DeclareLaunchArgument(
                "realtime_priority",
                default_value="0",
                description="SCHED_FIFO priority of the control thread; 0: none",
            ),
            DeclareLaunchArgument(
                "cpu", default_value="-1", description="Processor of the control thread; -1: any"
            ),
            DeclareLaunchArgument(
                "flights",
                default_value=PathJoinSubstitution([home, ".ros", "flights"]),
                description="Folder for the last 30 s before every stop that nobody asked for",
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
                    "seed": LaunchConfiguration("seed"),
                    "time_base": "wall",
                    "namespace": LaunchConfiguration("namespace"),
                    "log_level": LaunchConfiguration("log_level"),
                }.items(),
                condition=IfCondition(LaunchConfiguration("sim")),
            ),
            Node(
                package="vdd_ros",
                executable="flight_recorder_node",
                name="flight_recorder_node",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                sigterm_timeout="20",  # what is recorded is saved, however busy the machine is
                arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    {
                        "contract": parameter("contract", str),
                        "directory": parameter("flights", str),
                    }
                ],
            ),
            Node(
                package="vdd_ros",
                executable="action_node",
                name="action_node",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                sigterm_timeout="20",  # what is recorded is saved, however busy the machine is
                arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
                # numpy's threads would make the control thread wait for others
                additional_env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                parameters=[
                    {
                        "contract": parameter("contract", str),
                        "bundle": parameter("bundle", str),
                        "calibration": parameter("calibration", str),
                        "mode": parameter("mode", str),
                        "require_certificate": parameter("require_certificate", str),
                        "trusted_keys": parameter("trusted_keys", str),
                        "runtime": parameter("runtime", str),
                        "planning": parameter("planning", str),
                        "start_tolerance": parameter("start_tolerance", float),
                        "most_missed": parameter("most_missed", int),
                        "on_out_of_distribution": parameter("on_out_of_distribution", str),
                        "slow_speed": parameter("slow_speed", float),
                        "home": parameter("home", str),
                        "home_speed": parameter("home_speed", float),
                        "robot": parameter("robot", str),
                        "seed": parameter("seed", int),
                        "autostart": parameter("autostart", bool),
                        "send_after": parameter("send_after", float),
                        "realtime_priority": parameter("realtime_priority", int),
                        "cpu": parameter("cpu", int),
                    }
                ],
                # flight_recorder_node needs as long to be sure that it has ended, and to save that
                on_exit=[
                    TimerAction(period=8.0, actions=[Shutdown(reason="action_node has ended")])
                ],
            ),
        ]
    )


def parameter(argument, kind):
    return ParameterValue(LaunchConfiguration(argument), value_type=kind)
