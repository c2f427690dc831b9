"""One scenario from a swinging arm to its row: injected, mended, asked to drive again, judged."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from vdd_ros.commands.bench.faults.checker import HALF, REMEMBERED, judge
from vdd_ros.commands.bench.faults.scenarios import Scenario
from vdd_ros.commands.bench.faults.stage import Stage

ATTEMPTS = 3  # at a swing; a busy machine stops some runs by itself, before anything is injected
FAST = 0.98  # share of the speed limit at which a fault is injected; the checker asks for HALF
QUIET_S = 0.6
SWING_S, LONGEST_S = 12.0, 8.0  # until an arm swings; until a stopped one is silent
assert HALF < FAST


class Played(NamedTuple):
    """row: what the checker says and what the scenario is; recording: what it says so of."""

    row: dict
    recording: dict


def play(stage: Stage, scenario: Scenario) -> Played:
    """Raises UserError where the nodes do not work at all."""
    began_s = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        stage.prepare(scenario.rig)
        if not scenario.moving or _swings(stage) or attempts == ATTEMPTS:
            break
    stage.event("inject")
    for name, *arguments in scenario.acts:
        getattr(stage, name)(*arguments)
    _see(stage, scenario)
    stage.event("clear")
    stage.mend()
    stage.event("recover")
    for _ in range(ATTEMPTS):
        if stage.recover() and _is_fast(stage):
            break
    stage.operator.change("deactivate")
    time.sleep(QUIET_S)
    stage.event("end")
    stage.recording.look()
    recording = {"messages": stage.recording.messages, "events": list(stage.events)}
    expected = {
        "outcome": scenario.outcome,
        "reasons": list(scenario.reasons),
        "detection_s": scenario.detection_s,
        "moving": scenario.moving,
        "late_s": scenario.late_s,
    }
    told = {"name": scenario.name, "family": scenario.family, "injected": scenario.told}
    verdict = judge(stage.contract.to_dict(), recording, expected)
    row = told | verdict | {"attempts": attempts, "seconds": time.monotonic() - began_s}
    return Played(row, recording)


def _swings(stage: Stage) -> bool:
    """Activate; whether the arm came to move fast."""
    return stage.change("activate") and _is_fast(stage)


def _is_fast(stage: Stage) -> bool:
    """Wait until the last few commands, of this run, are near the speed limit."""
    allowed = stage.contract.limit("velocity") / stage.contract.rates.control_hz
    before, end_s = len(stage.commands()), time.monotonic() + SWING_S
    while time.monotonic() < end_s:
        last = stage.commands()[before:][-REMEMBERED - 1 :]
        speed = (np.abs(np.diff(last, axis=0)) / allowed).max(axis=1) if len(last) > 1 else [0.0]
        if len(last) > REMEMBERED and np.median(speed) >= FAST and stage.quiet_s() < 0.1:
            return True
        time.sleep(0.02)
    return False


def _see(stage: Stage, scenario: Scenario) -> None:
    """Until it is known what came of it."""
    if scenario.outcome in ("goes on", "either"):
        time.sleep(scenario.lasts_s)
        return
    end_s = time.monotonic() + LONGEST_S
    time.sleep(scenario.detection_s)
    while stage.quiet_s() < QUIET_S and time.monotonic() < end_s:
        time.sleep(0.05)
    time.sleep(0.3)  # what it says of itself comes ten times a second
