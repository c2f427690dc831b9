"""People around a run: who presses the e-stop, who operates the node, who takes the arm."""

from __future__ import annotations

from vdd_ros.commands.bench.faults.scenarios.base import (
    HOMEWARD,
    JOINTS,
    JOINTS_AGE,
    LEADER_AGE,
    LED,
    OBJECTS,
    STALE,
    Act,
    Scenario,
)
from vdd_ros.commands.bench.faults.swing import FAILURES


def e_stop() -> list[Scenario]:
    """The e-stop in every phase."""
    family, reasons = "e-stop", ("E_STOP",)
    press, release = ("press", True), ("press", False)
    refused = ("e-stop is pressed",)
    unreliable = ("press", True, False)
    anew = tuple(("change", name) for name in ("deactivate", "cleanup", "configure", "activate"))
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
            "pressed unreliably", family, "pressed by a publisher that is best effort",
            (unreliable,), reasons=reasons,
        ),
        Scenario(
            "kept pressed, configured anew", family,
            "pressed, configured anew, activated again: refused",
            (press, ("wait", 1.0), *anew), reasons=reasons,
        ),
        Scenario(
            "unreliably, configured anew", family,
            "pressed by a publisher that is best effort, configured anew, activated again: refused",
            (unreliable, ("wait", 1.0), *anew), reasons=reasons,
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


def operator() -> list[Scenario]:
    """Asked to end, by a transition or a signal."""
    family, reasons = "stopped by its operator", ("DEACTIVATED",)
    return [
        Scenario("deactivate", family, "deactivated", (("change", "deactivate"),), reasons=reasons,
                 detection_s=0.1),
        Scenario("SIGINT", family, "SIGINT", (("end", "action_node", "SIGINT"),),
                 reasons=reasons, detection_s=0.1),
        Scenario("SIGTERM", family, "SIGTERM", (("end", "action_node", "SIGTERM"),),
                 reasons=reasons, detection_s=0.1),
        Scenario("SIGINT while braking", family, "SIGINT while the arm brakes for another reason",
                 (("relay", JOINTS, "silent"), ("wait", 0.4), ("end", "action_node", "SIGINT")),
                 reasons=STALE, detection_s=JOINTS_AGE),
        Scenario("SIGKILL", "node killed", "SIGKILL: silence, no ramp",
                 (("end", "action_node", "SIGKILL"),), "silence"),
    ]  # fmt: skip


def homeward() -> list[Scenario]:
    """Sent home: however that begins, it goes on from the last command sent."""
    family, go, there = "sent home", ("go home",), ("wait", HOMEWARD)
    press, release = ("press", True), ("press", False)
    return [
        Scenario("home", family, "sent home while the policy drives", (go,), rig="home",
                 reasons=("DEACTIVATED",), detection_s=HOMEWARD),
        Scenario("home twice", family, "sent home, and home once more", (go, there, go), rig="home",
                 reasons=("DEACTIVATED",), detection_s=2 * HOMEWARD),
        Scenario("home after a stop", family, "the e-stop, let go, then sent home", rig="home",
                 acts=(press, ("wait", 1.0), release, ("wait", 0.3), go), reasons=("E_STOP",),
                 detection_s=1.5 + HOMEWARD),
        Scenario("e-stop homeward", family, "the e-stop on the way home", rig="home", moving=False,
                 acts=(("change", "activate"), ("wait", 2.0), go, ("wait", 0.7), ("inject",),
                       press),
                 reasons=("E_STOP",)),
    ]  # fmt: skip


def leader() -> list[Scenario]:
    """A leader arm, as it should be and not."""
    family = "human takeover"

    def lead(*kinds: str) -> tuple[Act, ...]:
        return tuple(("lead", LED, kind) for kind in kinds)

    silent, unusable = ("SOURCE_SILENT",), ("LEADER_UNUSABLE",)
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
                 lead("nan"), reasons=unusable, detection_s=0.02),
        Scenario("late leader", family, "a leader's words are 1 s old", lead("late"),
                 reasons=unusable, detection_s=LEADER_AGE),
        Scenario("leader of tomorrow", family, "a leader's words are stamped 10 s ahead",
                 lead("future"), reasons=unusable, detection_s=LEADER_AGE),
        Scenario("short leader", family, "a leader names six joints", lead("short"),
                 reasons=unusable, detection_s=0.02),
        Scenario("stray word", family, "one word of a leader, 1 s old", (("lead", 0.01, "late"),),
                 "goes on"),
        Scenario("policy NaN while led", family, "the network turns NaN while a leader drives",
                 (*lead("good"), ("relay", OBJECTS, "place_object", list(FAILURES["nan"])),
                  *lead("good")), reasons=silent, detection_s=2 * LED + LEADER_AGE),
    ]  # fmt: skip
