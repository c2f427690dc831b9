"""Record demonstrations: command_gate between the leader arm and the robot, recorder_node beside.

A person at a device, on a real robot (docs/teleop.md; a keyboard needs a terminal of its own):
    ros2 launch vdd_ros record_demos.launch.py contract:=my_robot.yaml teleop:=joy \
        directory:=demonstrations
A person at a leader arm that publishes on the contract's teleop topic by itself:
    ros2 launch vdd_ros record_demos.launch.py contract:=my_robot.yaml directory:=demonstrations
    then in a browser, at the address that page_node prints; by keys: ros2 run vdd_ros operator_node
A person, on the simulated robot in real time:
    ros2 launch vdd_ros record_demos.launch.py sim:=true
The scripted operator, on the simulated robot, faster than real time; ends when it is done:
    ros2 launch vdd_ros record_demos.launch.py sim:=true demonstrator:=scripted episodes:=50
"""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
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

# What teleop_node can lead by from here, and the device file that is meant where none is named.
DEVICES = {"leader": "leader_panda.yaml", "joy": "gamepad.yaml", "twist": "twist.yaml"}
FILES = {**DEVICES, "keyboard": "keyboard.yaml"}

RESPAWN_DELAY_S = 1.0
BAD_INPUT = 2  # the exit code of every node of this package that was given something wrong


def generate_launch_description():
    share = FindPackageShare("vdd_ros")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "contract",
                default_value="",
                description="Contract YAML of the robot; needed unless sim:=true, where empty is "
                "config/panda_avoid.yaml",
            ),
            DeclareLaunchArgument(
                "directory",
                default_value="demonstrations",
                description="Folder that episodes are saved in",
            ),
            DeclareLaunchArgument(
                "name_prefix",
                default_value="episode",
                description="Episodes are called <name_prefix>_0001 and so on",
            ),
            DeclareLaunchArgument(
                "task",
                default_value="",
                description="What is demonstrated, in a word, kept with each episode; empty: the "
                "contract's name. With sim:=true also which task is simulated; empty: avoid",
            ),
            DeclareLaunchArgument(
                "operator", default_value="", description="Pseudonym of who demonstrates; no name"
            ),
            DeclareLaunchArgument(
                "consent",
                default_value="",
                description="What the operator agreed that recordings may be used for",
            ),
            DeclareLaunchArgument(
                "licence",
                default_value="",
                description="Licence of the episodes, such as CC-BY-4.0",
            ),
            DeclareLaunchArgument(
                "prompt", default_value="", description="The task in words, as one would tell it"
            ),
            DeclareLaunchArgument(
                "calibration",
                default_value="",
                description="Calibration file or folder that is in use; empty: the contract's",
            ),
            DeclareLaunchArgument(
                "clocks",
                default_value="",
                description="Clock nodes of other hosts, such as 'robot:/clock_node'",
            ),
            DeclareLaunchArgument(
                "demonstrator",
                default_value="none",
                choices=["scripted", "none"],
                description="scripted: a program leads the simulated arm and serves the "
                "recorder; none: a person does",
            ),
            DeclareLaunchArgument(
                "teleop",
                default_value="none",
                choices=["none", *FILES],
                description="What a person leads by, through teleop_node; none: what publishes on "
                "the contract's teleop topic by itself, to which the arm comes as fast as the "
                "contract's limits allow; a keyboard is read by teleop_node in a terminal of its "
                "own, see docs/teleop.md",
            ),
            DeclareLaunchArgument(
                "device",
                default_value=PathJoinSubstitution([share, "config", "teleop", of_source()]),
                description="YAML of that device; by default one of config/teleop",
            ),
            DeclareLaunchArgument(
                "kinematics",
                default_value=PathJoinSubstitution(
                    [share, "config", "kinematics", "panda_tools.yaml"]
                ),
                description="YAML of the kinematics, for devices that move the tool, where the "
                "contract has none",
            ),
            DeclareLaunchArgument(
                "released",
                default_value="hold",
                choices=["hold", "let_go"],
                description="What the opened clutch of a device does: hold the arm, or let go of "
                "it, so that a policy may have it again",
            ),
            DeclareLaunchArgument(
                "sim",
                default_value="false",
                choices=["true", "false"],
                description="Whether the simulator takes the robot's place",
            ),
            DeclareLaunchArgument(
                "episodes",
                default_value="10",
                description="Demonstrations of the scripted operator",
            ),
            DeclareLaunchArgument(
                "seed", default_value="0", description="Seed of scripted operator and simulation"
            ),
            DeclareLaunchArgument(
                "page",
                default_value="true",
                choices=["true", "false"],
                description="Whether the page for a browser is served; its address is printed",
            ),
            DeclareLaunchArgument(
                "page_host",
                default_value="127.0.0.1",
                description="Address to serve the page at; beyond this machine it takes a token",
            ),
            DeclareLaunchArgument(
                "page_port", default_value="8421", description="Port to serve the page at"
            ),
            DeclareLaunchArgument(
                "page_episodes",
                default_value="0",
                description="Episodes to save, of which the page says how many are left; 0: no end",
            ),
            DeclareLaunchArgument(
                "page_names",
                default_value="",
                description="Names by which browsers may call this machine, separated by spaces",
            ),
            DeclareLaunchArgument(
                "countdown",
                default_value="3.0",
                description="Seconds from a start in the page to the first moment recorded",
            ),
            DeclareLaunchArgument(
                "reset",
                default_value="",
                description="Services (std_srvs/Trigger) by which the page sets the scene back "
                "after every episode, such as 'sim_node/reset command_gate/reset'",
            ),
            DeclareLaunchArgument(
                "previews",
                default_value="",
                description="Cameras that the page shows, as NAME:TOPIC, separated by spaces",
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
            OpaqueFunction(function=refuse_what_does_not_go_together),
            OpaqueFunction(function=require_contract),
            LogInfo(
                msg=[
                    "the keyboard is read in a terminal of its own: ros2 run vdd_ros teleop_node "
                    "--ros-args -p contract:=",
                    LaunchConfiguration("contract"),
                    " -p kinematics:=",
                    LaunchConfiguration("kinematics"),
                    " -p device:=",
                    LaunchConfiguration("device"),
                    " -p released:=",
                    LaunchConfiguration("released"),
                    " -r __ns:=/",
                    LaunchConfiguration("namespace"),
                ],
                condition=IfCondition(
                    PythonExpression(["'", LaunchConfiguration("teleop"), "' == 'keyboard'"])
                ),
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(
                    PathJoinSubstitution([share, "launch", "sim.launch.py"])
                ),
                launch_arguments={
                    "contract": LaunchConfiguration("contract"),
                    "task": simulated_task(),
                    "seed": LaunchConfiguration("seed"),
                    "time_base": PythonExpression(["'sim' if ", scripted(), " else 'wall'"]),
                    "namespace": LaunchConfiguration("namespace"),
                    "log_level": LaunchConfiguration("log_level"),
                }.items(),
                condition=IfCondition(LaunchConfiguration("sim")),
            ),
            node("command_gate"),
            node(
                "recorder_node",
                directory=text("directory"),
                name_prefix=text("name_prefix"),
                task=text("task"),
                operator=text("operator"),
                consent=text("consent"),
                licence=text("licence"),
                prompt=text("prompt"),
                calibration=text("calibration"),
                clocks=text("clocks"),
            ),
            node(
                "page_node",
                condition=IfCondition(LaunchConfiguration("page")),
                needed=False,
                directory=text("directory"),
                host=text("page_host"),
                port=number("page_port"),
                episodes=number("page_episodes"),
                names=text("page_names"),
                countdown=ParameterValue(LaunchConfiguration("countdown"), value_type=float),
                reset=text("reset"),
                previews=text("previews"),
            ),
            node(
                "teleop_node",
                condition=IfCondition(leads()),
                on_exit=after_teleop,
                respawn=True,
                device=text("device"),
                source=text("teleop"),
                kinematics=text("kinematics"),
                released=text("released"),
            ),
            node(
                "demonstrator_node",
                condition=IfCondition(scripted()),
                episodes=number("episodes"),
                seed=number("seed"),
            ),
        ]
    )


def node(name, condition=None, needed=True, on_exit=None, respawn=False, **parameters):
    """One of this package's nodes; when one that is needed ends, everything does. on_exit: what is
    done instead; respawn: it is started again."""
    return Node(
        package="vdd_ros",
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        sigterm_timeout="20",  # what is recorded is saved, however busy the machine is
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        parameters=[
            {
                "contract": text("contract"),
                "use_sim_time": ParameterValue(scripted(), value_type=bool),
                **parameters,
            }
        ],
        condition=condition,
        on_exit=on_exit or (Shutdown(reason=f"{name} has ended") if needed else None),
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY_S,
    )


def after_teleop(event, context):
    """The session outlives what leads: the gate brings the arm to rest, the recorder goes on, and
    teleop_node is started again. It leads nothing by itself. Only where what it was given is not in
    order, which another start does not mend, everything ends."""
    if context.is_shutdown:
        return None
    if event.returncode == BAD_INPUT:
        return [Shutdown(reason="teleop_node has ended")]
    return [
        LogInfo(
            msg="teleop_node has ended and is started again; the recorder goes on. The arm is led "
            "again once the clutch was opened and is closed, or engaged by the service"
        )
    ]


def leads():
    return PythonExpression(["'", LaunchConfiguration("teleop"), "' in ", repr([*DEVICES])])


def of_source():
    """The device file that is meant where none is named."""
    return PythonExpression([repr(FILES), ".get('", LaunchConfiguration("teleop"), "', '')"])


def simulated_task():
    return PythonExpression(["'", LaunchConfiguration("task"), "' or 'avoid'"])


def scripted():
    return PythonExpression(["'", LaunchConfiguration("demonstrator"), "' == 'scripted'"])


def text(argument):
    return ParameterValue(LaunchConfiguration(argument), value_type=str)


def number(argument):
    return ParameterValue(LaunchConfiguration(argument), value_type=int)


def refuse_what_does_not_go_together(context):
    chosen = {name: context.launch_configurations[name] for name in ("demonstrator", "sim")}
    if chosen == {"demonstrator": "scripted", "sim": "false"}:
        raise RuntimeError(
            "demonstrator:=scripted leads the simulated arm only: add sim:=true, or leave it out"
        )
    teleop = context.launch_configurations["teleop"]
    if chosen["demonstrator"] == "scripted" and teleop != "none":
        raise RuntimeError(
            f"demonstrator:=scripted and teleop:={teleop} both lead the arm: leave one out"
        )
