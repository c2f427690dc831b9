"""The robot around a run: its processes, whether it follows, its clock."""

from __future__ import annotations

from vdd_ros.commands.bench.faults.scenarios.base import (
    ASTRAY,
    CLOCK,
    JOINTS,
    JOINTS_AGE,
    LEADER_AGE,
    OBJECTS,
    OBJECTS_AGE,
    ONE,
    ROBOT,
    STALE,
    STANDING,
    Act,
    Scenario,
)


def publishers() -> list[Scenario]:
    """Processes that are killed, a robot that leaves."""
    family = "publisher killed"

    def kill(node: str) -> tuple[Act, ...]:
        return (("end", node, "SIGKILL"),)

    return [
        # before any robot is killed, whom DDS goes on counting as a listener for a while
        Scenario("robot leaves", "robot gone", "the robot's subscription is closed",
                 (("relay", ROBOT, "unheard"),), reasons=("ROBOT_GONE",), detection_s=0.2),
        Scenario("no robot", "not begun", "activated while no robot listens",
                 (("relay", ROBOT, "unheard"), ("wait", 0.5), ("change", "activate"),
                  ("wait", 1.0), ("change", "deactivate")), "nothing", ("DEACTIVATED",),
                 moving=False),
        Scenario("joint states", family, "SIGKILL to who tells the joints", kill("relay_joints"),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("objects", family, "SIGKILL to who tells the objects", kill("relay_objects"),
                 reasons=STALE, detection_s=OBJECTS_AGE),
        Scenario("robot", family, "SIGKILL to the robot's ear for commands", kill("relay_robot"),
                 reasons=("ROBOT_GONE", "NOT_FOLLOWING"), detection_s=ASTRAY),
        Scenario("simulator", family, "SIGKILL to the whole robot", kill("sim_node"),
                 reasons=STALE, detection_s=JOINTS_AGE),
    ]  # fmt: skip


def gate() -> list[Scenario]:
    """The gate before a robot that a leader drives, as a process of its own."""
    return [
        Scenario("gate", "node killed", "SIGKILL to command_gate beside a leader: silence, no ramp",
                 (("end", "command_gate", "SIGKILL"),), "silence", rig="gate"),
        Scenario("leader silent", "stopped by its operator", "a leader of command_gate goes away",
                 (("leave",),), "rest", ("SOURCE_SILENT",), detection_s=LEADER_AGE, rig="gate"),
    ]  # fmt: skip


def following() -> list[Scenario]:
    """An arm that is not where it was sent."""
    family, reasons = "arm does not follow", ("NOT_FOLLOWING",)
    return [
        Scenario("deaf", family, "commands do not reach the arm", (("relay", ROBOT, "silent"),),
                 reasons=reasons, detection_s=ASTRAY),
        Scenario("held", family, "joints tell one pose, with stamps of now",
                 (("relay", JOINTS, "held"),), reasons=reasons, detection_s=ASTRAY),
        Scenario("offset", family, "a joint is told .5 rad beside",
                 (("relay", JOINTS, "add_position", 0.5, ONE),), reasons=reasons,
                 detection_s=ASTRAY),
        Scenario("lagging", family, "commands reach the arm .1 s late",
                 (("relay", ROBOT, "late", 0.1),), "goes on"),
    ]  # fmt: skip


def clock() -> list[Scenario]:
    """/clock, for a node that goes by it."""

    def clock(fault: str, value: float = 0.0) -> tuple[Act, ...]:
        return (("relay", CLOCK, fault, value),)

    family = "clock"
    return [
        Scenario("frozen", family, "/clock stands still", clock("silent"), reasons=STALE,
                 detection_s=JOINTS_AGE, rig="clock"),
        Scenario("frozen for a moment", family, "/clock stands still for .6 s and goes on",
                 (("relay", CLOCK, "silent"), ("wait", 0.6), ("relay", CLOCK, "pass"),
                  ("wait", 1.0)), reasons=STALE, detection_s=JOINTS_AGE, rig="clock"),
        Scenario("frozen, then e-stop", family, "/clock stands still, the e-stop is pressed",
                 (*clock("silent"), ("press", True)), reasons=("E_STOP", *STALE),
                 detection_s=JOINTS_AGE, rig="clock"),
        Scenario("world frozen", family, "/clock, joint states and objects stand still",
                 (("relay", JOINTS, "silent"), ("relay", OBJECTS, "silent"), *clock("silent")),
                 reasons=("CLOCK_STILL",), detection_s=STANDING, rig="clock"),
        Scenario("forward", family, "/clock jumps 5 s ahead", clock("jump", 5.0),
                 reasons=("CLOCK_AHEAD",), detection_s=0.02, rig="clock"),
        Scenario("back", family, "/clock jumps 5 s back", clock("jump", -5.0),
                 reasons=("CLOCK_BACK",), detection_s=0.02, rig="clock"),
        Scenario("slow", family, "/clock goes at a tenth of its pace", clock("pace", 0.1),
                 reasons=STALE, detection_s=JOINTS_AGE / 0.9, rig="clock"),
        Scenario("fast", family, "/clock goes at ten times its pace", clock("pace", 10.0),
                 reasons=(*STALE, "SOURCE_SILENT"), detection_s=JOINTS_AGE, rig="clock"),
    ]  # fmt: skip
