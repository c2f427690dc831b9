"""One scenario from a swinging arm to its row: injected, mended, asked to drive again, judged."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from vdd_ros.commands.bench.faults.acts import ACTS
from vdd_ros.commands.bench.faults.checker import HALF, REMEMBERED, judge
from vdd_ros.commands.bench.faults.scenarios.base import Scenario
from vdd_ros.commands.bench.faults.stage import Stage
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

ATTEMPTS = 5  # a busy machine stops some runs by itself
FAST = 0.98  # share of the speed limit at which a fault is injected; the checker asks for HALF
STALLS = ("SOURCE_SILENT", "DEADLINES_MISSED")
QUIET_S = 0.6
SWING_S, LONGEST_S = 12.0, 8.0  # until an arm swings; until a stopped one is silent
assert HALF < FAST


class Played(NamedTuple):
    """row: what the checker says and what the scenario is; recording: what it says so of."""

    row: dict
    recording: dict


def play(stage: Stage, scenario: Scenario) -> Played:
    """Play it, again where the machine itself stopped the run; raises UserError where the nodes do
    not work at all."""
    began_s, attempts = time.monotonic(), 0
    while True:
        played = _play(stage, scenario)
        attempts += played.row["attempts"]
        if attempts >= ATTEMPTS or not stalled(stage.contract, scenario, played.row):
            more = {"attempts": attempts, "seconds": time.monotonic() - began_s}
            return played._replace(row=played.row | more)


def stalled(contract: Contract, scenario: Scenario, row: dict) -> bool:
    """Whether a row failed as the node got no processor for longer than its commands may be old,
    which it has to take for a fault, and none was injected that makes it."""
    longest_ms = contract.streams["policy_command"].max_age_s * 1e3
    by_itself = row["reason"] in STALLS and row["reason"] not in scenario.reasons
    return not row["ok"] and by_itself and row["longest_gap_ms"] > longest_ms


def _play(stage: Stage, scenario: Scenario) -> Played:
    attempts = _begin(stage, scenario)
    stage.event("inject")
    for name, *arguments in scenario.acts:
        ACTS[name](stage, *arguments)
    _see(stage, scenario)
    stage.event("clear")
    stage.mend()
    stage.event("recover")
    _begin_again(stage)
    stage.event("end")
    stage.recording.look()
    recording = {"messages": stage.recording.messages, "events": list(stage.events)}
    verdict = judge(stage.contract.to_dict(), recording, asdict(scenario))
    return Played(told(scenario) | verdict | {"attempts": attempts}, recording)


def unplayed(scenario: Scenario, error: UserError) -> dict:
    """The row of a scenario that came to no end."""
    nothing = {"reason": "", "speed_at_injection": 0.0, "rest_ms": None, "rest_periods": None}
    failed = {"ok": False, "recovered": False, "commands": 0, "faults": [str(error)], "attempts": 1}
    return told(scenario) | nothing | failed


def told(scenario: Scenario) -> dict:
    """What a row says of its scenario."""
    return {"name": scenario.name, "family": scenario.family, "injected": scenario.told}


def _begin(stage: Stage, scenario: Scenario) -> int:
    """The node prepared, the arm swinging where it has to; the attempts that it took."""
    for attempt in range(1, ATTEMPTS + 1):
        stage.prepare(scenario.rig)
        if not scenario.moving or (stage.change("activate") and _is_fast(stage)):
            return attempt
    return ATTEMPTS


def _begin_again(stage: Stage) -> None:
    """On request, the arm swings once more; then the run is ended."""
    for _ in range(ATTEMPTS):
        if stage.recover() and _is_fast(stage):
            break
    stage.operator.change("deactivate")
    time.sleep(QUIET_S)


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
