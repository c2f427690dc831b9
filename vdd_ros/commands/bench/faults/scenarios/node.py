"""The node itself: its policy, its processor, its bundle."""

from __future__ import annotations

from vdd_ros.commands.bench.faults.scenarios.base import (
    OBJECTS,
    PLANNED,
    STALE,
    STALLED,
    Act,
    Scenario,
)
from vdd_ros.commands.bench.faults.swing import FAILURES

LEASE = 20.0  # [s]; so long Fast DDS remembers a participant that says nothing


def policy() -> list[Scenario]:
    """A network that fails, and one that takes too long."""

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
        Scenario("unfamiliar", "out of distribution", "an object is seen 9 m away",
                 (("relay", OBJECTS, "place_object", [9.0, 0.0, 0.0]),),
                 reasons=("OUT_OF_DISTRIBUTION",), detection_s=noticed + 0.1, rig="hold"),
        Scenario("slow beside", late, "a plan takes seconds, beside the ticks",
                 (("relay", OBJECTS, "place_object", [0.0, -120.0, 0.0]),),
                 reasons=("PLAN_LATE",), detection_s=noticed + PLANNED, rig="thread"),
        Scenario("slow", "deadlines missed", "a plan takes a third of a second, within the tick",
                 (*fail("slow"), ("wait", 4.0)),
                 reasons=("DEADLINES_MISSED", *STALE, "SOURCE_SILENT"),
                 # a single stall counts five deadlines at most; a tick stands still as long
                 detection_s=noticed + 4 * 0.35, starved=True),
    ]  # fmt: skip


def machine() -> list[Scenario]:
    """A node that gets no processor."""
    family = "CPU starvation"
    return [
        Scenario("stall", family, "the process stands still for 1 s", (("stall", 1.0),),
                 "rest", STALLED, detection_s=1.0, starved=True),
        Scenario("short stall", family, "the process stands still for .06 s", (("stall", 0.06),),
                 "goes on"),
        Scenario("throttled", family, "the process gets a fifth of its time for 3 s",
                 (("throttle", 3.0, 0.08, 0.02),), "rest", STALLED,
                 # deadlines: four of five are missed, a tick in time makes up for a tenth of one
                 detection_s=20 * 0.02 * 5 / 4, starved=True, its_share=0.2),
        Scenario("crowded", family, "eight busy programs on its processor for 2 s",
                 (("crowd", 8, 2.0),), "either", STALLED, detection_s=2.0, starved=True),
        Scenario("participant lost", "node unheard",
                 "the process stands still until DDS has forgotten it, and goes on",
                 (("stall", LEASE + 5.0),), "rest", (*STALLED, "ROBOT_GONE"),
                 detection_s=LEASE + 5.0, starved=True, may_restart=True),
        Scenario("joined", "another who drives", "another publisher of commands appears",
                 (("rival", True), ("wait", 3.0), ("rival", False)), reasons=("RIVAL",),
                 detection_s=1.5),
        Scenario("twin", "another who drives", "a second node of the same name is started",
                 # of two that are as young as DDS takes to tell of them, both would give way
                 (("wait", 4.0), ("twin",)), "goes on", ("publishes robot commands",)),
    ]  # fmt: skip


def bundle() -> list[Scenario]:
    """Files that change, bundles that do not fit."""
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
