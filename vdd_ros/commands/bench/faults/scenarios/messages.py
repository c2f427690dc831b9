"""What comes over the wire: not in time, or wrong."""

from __future__ import annotations

from vdd_ros.commands.bench.faults.scenarios.base import (
    ASTRAY,
    BROKEN,
    JOINTS,
    JOINTS_AGE,
    MISSING,
    OBJECTS,
    OBJECTS_AGE,
    ONE,
    SEVEN,
    STALE,
    STALLED,
    UNREADABLE,
    Act,
    Scenario,
)


def streams() -> list[Scenario]:
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
                 relay(JOINTS, "without_stamp"), reasons=UNREADABLE, detection_s=JOINTS_AGE),
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


def contents() -> list[Scenario]:
    """Messages that come in time and are wrong."""

    def joints(fault: str, value: float = 0.0, joint: str = "", one_in: int = 1) -> tuple[Act, ...]:
        return (("relay", JOINTS, fault, value, joint, one_in),)

    finite, tiny = "observation not finite", "denormal or huge numbers"
    length, names = "wrong length", "missing or misnamed joint"
    nan, inf = float("nan"), float("inf")
    return [
        Scenario("position NaN", finite, "positions are NaN", joints("set_position", nan),
                 reasons=BROKEN, detection_s=JOINTS_AGE),
        Scenario("one joint inf", finite, "one joint is infinite",
                 joints("set_position", inf, SEVEN), reasons=BROKEN, detection_s=JOINTS_AGE),
        Scenario("now and then NaN", finite, "every other joint state is NaN",
                 joints("set_position", nan, one_in=2), "goes on"),
        Scenario("objects NaN", finite, "the position of an object is NaN",
                 (("relay", OBJECTS, "place_object", [nan, nan, nan]),), reasons=BROKEN,
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
                 reasons=UNREADABLE, detection_s=JOINTS_AGE),
        Scenario("long", length, "more positions than names", joints("lengthen"),
                 reasons=UNREADABLE, detection_s=JOINTS_AGE),
        Scenario("empty", length, "joint states without joints", joints("empty"),
                 reasons=MISSING, detection_s=JOINTS_AGE),
        Scenario("cut", length, "joint states cut off after 30 bytes", joints("cut", 30),
                 reasons=UNREADABLE, detection_s=JOINTS_AGE),
        Scenario("object lost", length, "one pose too few", (("relay", OBJECTS, "lose_object"),),
                 reasons=UNREADABLE, detection_s=OBJECTS_AGE),
        Scenario("object more", length, "one pose too many",
                 (("relay", OBJECTS, "repeat_object"),), reasons=UNREADABLE,
                 detection_s=OBJECTS_AGE),
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
