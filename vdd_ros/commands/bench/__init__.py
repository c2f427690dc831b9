"""Measure this machine: one tool per question, each ends with `rows` and `ratios`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from vdd_ros.code_version import commit, package_version
from vdd_ros.device import processor
from vdd_ros.errors import UserError
from vdd_ros.timing import Timing, in_turns, pinned_to_one_core

TOOLS = {
    "latency": "what a policy costs per chunk, beside its teacher and beside the floor",
    "distill": "what `vdd` costs until it is as close to its teacher as `vdd-paper` in the end",
    "spaces": "whether students come nearer to their teacher when chunks are compared elsewhere",
    "loader": "how fast training gets its examples from disk, beside the same in memory",
    "control": "how punctual robot commands are, beside a loop that does nothing but publish them",
    "image": "how long after its cameras saw something a policy's commands know of it",
    "soak": "whether the action node keeps its time and its memory over half an hour",
    "delays": "what a policy's success is worth when observations and commands are late",
    "faults": "what becomes of a swinging arm when things break around its policy",
    "ood": "false alarms and detections of what tells observations out of distribution",
    "safety": "whether hostile input gets a command beyond a limit, and what a command costs",
    "recorder": "whether the recorder drops messages of joints and cameras, and how fast it writes",
    "recorder-kill": "whether recordings outlive a recorder that is killed at any moment",
    "recorder-prefixes": "whether saved episodes outlive a power cut after any single operation",
    "bundle": "whether every kind of damaged bundle is refused, and by which check",
    "damage": "whether every kind of damaged episode is found, named and not trained on unawares",
    "calibration": "by how much calibrations of random setups are wrong, beside their bounds",
    "sim": "how fast a simulated robot is stepped, beside robosuite's own loop, and how equal",
}
QUIET = 0.95  # share of the wall time that the measuring thread had the core


class Measured(NamedTuple):
    """cpu_share: of the wall time, what the thread was given; core: its number, None if it could
    not be kept on one."""

    timings: dict[Any, Timing]
    core: int | None
    cpu_share: float


def measure(calls: Mapping[Any, Callable[[], object]], blocks: int, count: int) -> Measured:
    """Time all calls in turns, on one core."""
    with pinned_to_one_core() as core:
        began = np.array([time.thread_time_ns(), time.perf_counter_ns()])
        timings = in_turns(calls, time.perf_counter_ns, blocks, count)
        cpu_ns, wall_ns = np.array([time.thread_time_ns(), time.perf_counter_ns()]) - began
    return Measured(timings, core, float(cpu_ns / wall_ns))


def require_some(blocks: int, calls: int) -> None:
    """Raises UserError where there would be nothing to take a median of."""
    if blocks < 1 or calls < 1:
        raise UserError(f"{blocks} blocks of {calls} calls: write 1 or more of each")


def circumstances(measured: Measured, seed: int) -> dict:
    """What a result says about how it was obtained."""
    return {
        "threads": 1,
        "pinned_core": measured.core,
        "cpu_share": measured.cpu_share,
        **origin(seed),
    }


def origin(seed: int) -> dict:
    """Where a result comes from, and how to get it again."""
    return {
        "version": package_version(),
        "commit": commit(),
        "hardware": f"{processor()}, {os.cpu_count()} cores",
        "seed": seed,
        "command": " ".join(["vdd", *sys.argv[1:]]),
    }


def warn_if_busy(result: dict) -> None:
    """Say so where other programs took the core."""
    if result["cpu_share"] < QUIET:
        print(
            f"other programs had the core {1 - result['cpu_share']:.0%} of the time, which makes "
            "long calls look longer: measure again on a quiet machine"
        )
