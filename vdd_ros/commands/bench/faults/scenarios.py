"""The scenarios of `vdd bench faults`, as data: what is done to a run, and what has to come of it.

An act is the name of a method of `Stage` and its arguments. Times that a stop may take to be
noticed are what docs/safety.md and the contract state: the age that a stream may have, the half
second of an arm that does not follow, the deadlines that may be missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vdd_ros.commands.bench.faults.swing import FAILURES

Act = tuple[Any, ...]
Outcome = Literal["rest", "goes on", "either", "silence", "nothing"]
JOINTS, OBJECTS, ROBOT, CLOCK = "joint_state", "objects", "robot_command", "clock"
# What the contract states [s], and one message more.
JOINTS_AGE, OBJECTS_AGE, LEADER_AGE = 0.2 + 0.01, 0.4 + 0.04, 0.2 + 0.02
# A joint leaves its tracking band at its speed limit, after turning round first where it has to.
ASTRAY = 0.5 + 0.3 / 0.8 + 2 * 0.4
PLANNED = 0.7  # a plan's own length
LED = 0.6  # so long a leader leads before it does something wrong
STALE = ("OBSERVATION_STALE", "JOINTS_STALE")
STALLED = (*STALE, "SOURCE_SILENT", "DEADLINES_MISSED")
MISSING = ("JOINT_MISSING", "JOINTS_STALE")
ONE, SEVEN = "panda_joint1", "panda_joint7"


@dataclass(frozen=True)
class Scenario:
    """What is done and what has to come of it.

    told: what is injected, for people; rig: which action_node; moving: whether the arm swings
    before; outcome: rest (a stop), goes on, either of them, silence (of a killed node) or nothing
    (it never begins); detection_s: until the node has to notice; lasts_s: for how long a run that
    goes on is looked at; late_s: what is bounded in control periods may take so much longer by the
    clock, on a busy machine or of a node that is starved.
    """

    name: str
    family: str
    told: str
    acts: tuple[Act, ...]
    outcome: Outcome = "rest"
    reasons: tuple[str, ...] = ()
    detection_s: float = 0.0
    moving: bool = True
    rig: str = "drive"
    lasts_s: float = 1.0
    late_s: float = 1.0


def _e_stop() -> list[Scenario]:
    family, reasons = "e-stop", ("E_STOP",)
    press, release = ("press", True), ("press", False)
    refused = ("e-stop is pressed",)
    return [
        Scenario("pressed", family, "pressed", (press,), reasons=reasons),
        Scenario("short", family, "pressed and let go at once", (press, release), reasons=reasons),
        Scenario("nervous", family, "pressed 50 times", (press, release) * 50, reasons=reasons),
        Scenario(
            "while braking", family, "pressed while the arm brakes for another reason",
            (("relay", JOINTS, "silent"), ("wait", 0.4), press),
            reasons=STALE, detection_s=JOINTS_AGE,
        ),
        Scenario(
            "while led", family, "pressed while a leader arm drives",
            (("lead", LED, "good"), press), reasons=reasons, detection_s=LED,
        ),
        Scenario(
            "while deactivating", family, "pressed during a deactivation",
            (("begin", "deactivate"), press), reasons=("E_STOP", "DEACTIVATED"), detection_s=0.1,
        ),
        Scenario(
            "kept pressed", family, "pressed, deactivated, activated again: refused",
            (press, ("wait", 1.0), ("change", "deactivate"), ("change", "activate")),
            reasons=reasons,
        ),
        Scenario(
            "before configure", family, "pressed before it is configured and activated",
            (press, ("wait", 0.3), ("change", "configure"), ("wait", 0.5), ("change", "activate")),
            "nothing", refused, moving=False, rig="unconfigured",
        ),
        Scenario(
            "before activate", family, "pressed before it is activated",
            (press, ("wait", 0.3), ("change", "activate")), "nothing", refused, moving=False,
        ),
        Scenario(
            "while activating", family, "pressed during an activation",
            (("begin", "activate"), press), reasons=(*reasons, *refused), moving=False,
        ),
    ]  # fmt: skip


def _operator() -> list[Scenario]:
    family, reasons = "stopped by its operator", ("DEACTIVATED",)
    return [
        Scenario("deactivate", family, "deactivated", (("change", "deactivate"),), reasons=reasons,
                 detection_s=0.1),
        Scenario("SIGINT", family, "SIGINT", (("signal", "action_node", "SIGINT"),),
                 reasons=reasons, detection_s=0.1),
        Scenario("SIGTERM", family, "SIGTERM", (("signal", "action_node", "SIGTERM"),),
                 reasons=reasons, detection_s=0.1),
        Scenario("SIGINT while braking", family, "SIGINT while the arm brakes for another reason",
                 (("relay", JOINTS, "silent"), ("wait", 0.4), ("signal", "action_node", "SIGINT")),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("SIGKILL", "node killed", "SIGKILL: silence, no ramp",
                 (("signal", "action_node", "SIGKILL"),), "silence"),
    ]  # fmt: skip


def _publishers() -> list[Scenario]:
    family = "publisher killed"

    def kill(node: str) -> tuple[Act, ...]:
        return (("signal", node, "SIGKILL"),)

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


def _streams() -> list[Scenario]:
    """Streams that fall silent, come late, thinly or in bursts."""

    def relay(stream: str, fault: str, value: float = 0.0) -> tuple[Act, ...]:
        return (("relay", stream, fault, value),)

    stale, late = "stale stream", "late or misdated messages"
    order, burst = "duplicated or reordered messages", "bursts"
    return [
        Scenario("joints silent", stale, "no joint states", relay(JOINTS, "silent"),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("objects silent", stale, "no objects", relay(OBJECTS, "silent"),
                 reasons=STALE, detection_s=OBJECTS_AGE),
        Scenario("all silent", stale, "neither joint states nor objects",
                 (*relay(JOINTS, "silent"), *relay(OBJECTS, "silent")), reasons=STALE,
                 detection_s=JOINTS_AGE),
        Scenario("joints unknown", "not begun", "activated without joint states",
                 (*relay(JOINTS, "silent"), ("wait", 0.5), ("change", "activate"), ("wait", 1.0),
                  ("change", "deactivate")), "nothing", ("DEACTIVATED", *STALE), moving=False),
        Scenario("outside its limits", "not begun", "activated with a joint told 6 rad beside",
                 (("relay", JOINTS, "add_position", 6.0, ONE), ("wait", 0.5),
                  ("change", "activate"), ("wait", 1.0)), "nothing", ("OUTSIDE_LIMITS",),
                 moving=False),
        Scenario("joints thin", stale, "one joint state in 40", relay(JOINTS, "each", 40),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("joints repeated", stale, "one old joint state again and again",
                 relay(JOINTS, "repeated"), reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("joints late", late, "joint states .5 s late", relay(JOINTS, "late", 0.5),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("joints a little late", late, "joint states .06 s late",
                 relay(JOINTS, "late", 0.06), "goes on"),
        Scenario("objects late", late, "objects 1 s late", relay(OBJECTS, "late", 1.0),
                 reasons=STALE, detection_s=OBJECTS_AGE),
        Scenario("joints of tomorrow", late, "joint states stamped 10 s ahead",
                 relay(JOINTS, "shift_stamp", 10.0), reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("joints of yesterday", late, "joint states stamped 10 s ago",
                 relay(JOINTS, "shift_stamp", -10.0), reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("one joint state of tomorrow", late, "one joint state stamped 3 s ahead",
                 (("relay", JOINTS, "shift_stamp", 3.0), ("wait", 0.015), ("relay", JOINTS, "pass"),
                  ("wait", 4.0)), reasons=STALE, detection_s=0.02),
        Scenario("joints unstamped", late, "joint states without a stamp",
                 relay(JOINTS, "without_stamp"), reasons=(*STALE, "JOINT_MISSING"),
                 detection_s=JOINTS_AGE),
        Scenario("objects of tomorrow", late, "objects stamped 10 s ahead",
                 relay(OBJECTS, "shift_stamp", 10.0), reasons=STALE, detection_s=OBJECTS_AGE),
        Scenario("joints thrice", order, "each joint state three times",
                 relay(JOINTS, "copies", 3), "goes on"),
        Scenario("joints swapped", order, "joint states in pairs, the later first",
                 relay(JOINTS, "swapped"), "goes on"),
        Scenario("objects swapped", order, "objects in pairs, the later first",
                 relay(OBJECTS, "swapped"), "goes on"),
        Scenario("joints burst", burst, "joint states of .1 s at once",
                 relay(JOINTS, "burst", 0.1), "goes on"),
        Scenario("joints long burst", burst, "joint states of 1 s at once",
                 relay(JOINTS, "burst", 1.0), reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("joints flood", burst, "each joint state 20 times, 2000 a second",
                 relay(JOINTS, "copies", 20), "either", (*STALLED,)),
    ]  # fmt: skip


def _contents() -> list[Scenario]:
    """Messages that come in time and are wrong."""

    def joints(fault: str, value: float = 0.0, joint: str = "", one_in: int = 1) -> tuple[Act, ...]:
        return (("relay", JOINTS, fault, value, joint, one_in),)

    finite, tiny = "observation not finite", "denormal or huge numbers"
    length, names = "wrong length", "missing or misnamed joint"
    nan, inf = float("nan"), float("inf")
    return [
        Scenario("position NaN", finite, "positions are NaN", joints("set_position", nan),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("one joint inf", finite, "one joint is infinite",
                 joints("set_position", inf, SEVEN), reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("now and then NaN", finite, "every other joint state is NaN",
                 joints("set_position", nan, one_in=2), "goes on"),
        Scenario("objects NaN", finite, "the position of an object is NaN",
                 (("relay", OBJECTS, "place_object", [nan, nan, nan]),), reasons=STALE,
                 detection_s=OBJECTS_AGE),
        Scenario("velocity denormal", tiny, "velocities are 5e-324",
                 joints("set_velocity", 5e-324), "goes on"),
        Scenario("now and then denormal", tiny, "every tenth joint state tells 5e-324",
                 joints("set_position", 5e-324, one_in=10), "goes on"),
        Scenario("position denormal", tiny, "all positions are 5e-324 from now on",
                 joints("set_position", 5e-324), reasons=("NOT_FOLLOWING",), detection_s=ASTRAY),
        Scenario("position 1e300", tiny, "a joint is at 1e300",
                 joints("set_position", 1e300, ONE),
                 reasons=("NOT_FOLLOWING", "NOT_FINITE", "POLICY_FAILED"), detection_s=ASTRAY),
        Scenario("degrees", tiny, "joint states in degrees", joints("in_degrees"),
                 reasons=("NOT_FOLLOWING",), detection_s=ASTRAY),
        Scenario("object denormal", tiny, "an object at 5e-324",
                 (("relay", OBJECTS, "place_object", [5e-324, -5e-324, 5e-324]),), "goes on"),
        Scenario("short", length, "fewer positions than names", joints("shorten"),
                 reasons=MISSING, detection_s=JOINTS_AGE),
        Scenario("long", length, "more positions than names", joints("lengthen"),
                 reasons=MISSING, detection_s=JOINTS_AGE),
        Scenario("empty", length, "joint states without joints", joints("empty"),
                 reasons=MISSING, detection_s=JOINTS_AGE),
        Scenario("cut", length, "joint states cut off after 30 bytes", joints("cut", 30),
                 reasons=(*MISSING, *STALE), detection_s=JOINTS_AGE),
        Scenario("object lost", length, "one pose too few", (("relay", OBJECTS, "lose_object"),),
                 reasons=STALE, detection_s=OBJECTS_AGE),
        Scenario("object more", length, "one pose too many",
                 (("relay", OBJECTS, "repeat_object"),), reasons=STALE, detection_s=OBJECTS_AGE),
        Scenario("joint missing", names, "a joint is left out",
                 joints("without_joint", joint="panda_joint5"), reasons=MISSING,
                 detection_s=JOINTS_AGE),
        Scenario("joint renamed", names, "a joint has another name",
                 joints("rename_joint", joint=ONE), reasons=MISSING, detection_s=JOINTS_AGE),
        Scenario("joint twice", names, "a joint is named twice",
                 joints("repeat_joint", joint=SEVEN), reasons=MISSING, detection_s=JOINTS_AGE),
        Scenario("other order", names, "joints in another order: nothing is wrong",
                 joints("turn_round"), "goes on"),
    ]  # fmt: skip


def _clock() -> list[Scenario]:
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
        Scenario("forward", family, "/clock jumps 5 s ahead", clock("jump", 5.0),
                 reasons=(*STALE, "SOURCE_SILENT"), detection_s=0.02, rig="clock"),
        Scenario("back", family, "/clock jumps 5 s back", clock("jump", -5.0),
                 reasons=("CLOCK_BACK",), detection_s=0.02, rig="clock"),
        Scenario("slow", family, "/clock goes at a tenth of its pace", clock("pace", 0.1),
                 reasons=STALE, detection_s=JOINTS_AGE / 0.9, rig="clock"),
        Scenario("fast", family, "/clock goes at ten times its pace", clock("pace", 10.0),
                 reasons=(*STALE, "SOURCE_SILENT"), detection_s=JOINTS_AGE, rig="clock"),
    ]  # fmt: skip


def _following() -> list[Scenario]:
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


def _leader() -> list[Scenario]:
    family = "human takeover"

    def lead(*kinds: str) -> tuple[Act, ...]:
        return tuple(("lead", LED, kind) for kind in kinds)

    silent = ("SOURCE_SILENT",)
    return [
        Scenario("taken over", family, "a leader drives and falls silent", lead("good"),
                 reasons=silent, detection_s=LED + LEADER_AGE),
        Scenario("far target", family, "a leader asks for 1e6 rad", lead("far"),
                 reasons=silent, detection_s=LED + LEADER_AGE),
        Scenario("leader NaN", family, "a leader drives and turns NaN", lead("good", "nan"),
                 reasons=("NOT_FINITE",), detection_s=LED + 0.02),
        Scenario("leader without positions", family, "a leader drives, then tells no positions",
                 lead("good", "empty"), reasons=("WRONG_SIZE",), detection_s=LED + 0.02),
        Scenario("NaN to take over", family, "NaN from a leader that does not drive",
                 lead("nan"), "goes on"),
        Scenario("late leader", family, "a leader's words are 1 s old", lead("late"), "goes on"),
        Scenario("leader of tomorrow", family, "a leader's words are stamped 10 s ahead",
                 lead("future"), "goes on"),
        Scenario("short leader", family, "a leader names six joints", lead("short"), "goes on"),
    ]  # fmt: skip


def _policy() -> list[Scenario]:
    def fail(kind: str) -> tuple[Act, ...]:
        return (("relay", OBJECTS, "place_object", list(FAILURES[kind])),)

    failing, late = "policy failing", "planning too late"
    noticed = 0.04 + 0.03 + 0.02  # the next objects, the delay of their observation, a tick
    return [
        Scenario("policy NaN", failing, "the network turns NaN", fail("nan"),
                 reasons=("NOT_FINITE",), detection_s=noticed),
        Scenario("policy infinite", failing, "the network turns infinite", fail("inf"),
                 reasons=("NOT_FINITE",), detection_s=noticed),
        Scenario("no mixture", failing, "the gating adds up to nearly nothing",
                 fail("no mixture"), reasons=("POLICY_FAILED",), detection_s=noticed),
        Scenario("policy raises", failing, "the runtime refuses to evaluate it", fail("raises"),
                 reasons=("POLICY_FAILED",), detection_s=noticed),
        Scenario("policy raises beside", failing, "the same, planning beside the ticks",
                 fail("raises"), reasons=("POLICY_FAILED",), detection_s=noticed + 0.1,
                 rig="thread"),
        Scenario("policy NaN beside", failing, "it turns NaN, planning beside the ticks",
                 fail("nan"), reasons=("NOT_FINITE",), detection_s=noticed + 0.1, rig="thread"),
        Scenario("far wish", failing, "the network wants 1e7 rad", fail("far target"), "goes on"),
        Scenario("slow beside", late, "a plan takes seconds, beside the ticks",
                 (("relay", OBJECTS, "place_object", [0.0, -120.0, 0.0]),),
                 reasons=("PLAN_LATE",), detection_s=noticed + PLANNED, rig="thread"),
        Scenario("slow", "deadlines missed", "a plan takes a third of a second, within the tick",
                 fail("slow"), reasons=("DEADLINES_MISSED", *STALE, "SOURCE_SILENT"),
                 # a single stall counts five deadlines at most
                 detection_s=noticed + 4 * 0.35, late_s=2.0),
    ]  # fmt: skip


def _machine() -> list[Scenario]:
    family = "CPU starvation"
    return [
        Scenario("stall", family, "the process stands still for 1 s", (("stall", 1.0),),
                 "either", STALLED, late_s=2.0),
        Scenario("short stall", family, "the process stands still for .06 s", (("stall", 0.06),),
                 "goes on"),
        Scenario("throttled", family, "the process gets a fifth of its time for 3 s",
                 (("throttle", 3.0, 0.08, 0.02),), "rest", STALLED, detection_s=20 * 0.02,
                 late_s=3.0),
        Scenario("crowded", family, "eight busy programs on its processor for 2 s",
                 (("crowd", 8, 2.0),), "either", STALLED, late_s=3.0),
    ]  # fmt: skip


def _bundle() -> list[Scenario]:
    family, files = "bundle changed while it runs", "bundle refused"
    again = (("change", "deactivate"), ("change", "cleanup"), ("change", "configure"))
    return [
        Scenario("truncated", family, "policy.onnx is cut in half", (("truncate", "policy.onnx"),),
                 "goes on"),
        Scenario("removed", family, "all its files are removed", (("remove",),), "goes on"),
        Scenario("truncated, again", family, "policy.onnx is cut in half, and configured anew",
                 (("truncate", "policy.onnx"), ("wait", 0.3), *again), "rest",
                 ("DEACTIVATED",), detection_s=0.5),
        Scenario("other interface", "contract mismatch", "a bundle made for another robot",
                 (("change", "configure"), ("change", "activate")), "nothing",
                 ("was made for another interface",), moving=False, rig="foreign"),
        Scenario("wider limits", "contract mismatch", "a bundle made for wider limits",
                 (("change", "configure"), ("change", "activate")), "nothing",
                 ("robot allows",), moving=False, rig="wide"),
        Scenario("corrupt", files, "policy.onnx is cut in half before it is configured",
                 (("truncate", "policy.onnx"), ("change", "configure"), ("change", "activate")),
                 "nothing", ("damaged or edited",), moving=False, rig="unconfigured"),
        Scenario("rival", "another who drives", "activated beside another publisher of commands",
                 (("rival", True), ("wait", 1.0), ("change", "activate"), ("rival", False)),
                 "nothing", ("publishes robot commands",), moving=False),
        Scenario("far from start", "far from start", "the arm is not where demonstrations began",
                 (("change", "activate"), ("wait", 1.0)), "nothing", ("FAR_FROM_START",),
                 moving=False, rig="far"),
    ]  # fmt: skip


SCENARIOS: tuple[Scenario, ...] = (
    *_e_stop(),
    *_operator(),
    *_publishers(),
    *_streams(),
    *_contents(),
    *_following(),
    *_leader(),
    *_policy(),
    *_machine(),
    *_bundle(),
    *_clock(),
)
