"""One scenario from a swinging arm to its row: injected, mended, asked to drive again, judged."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from vdd_ros.commands.bench.faults.acts import ACTS
from vdd_ros.commands.bench.faults.checker import HALF, judge
from vdd_ros.commands.bench.faults.motion import PAUSE, REMEMBERED
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
    """Play it, again where the machine itself stopped the run or the node; the row tells of every
    time. Raises UserError where the nodes do not work at all."""
    began_s, retries, stalls = time.monotonic(), [], 0
    while True:
        played = _play(stage, scenario)
        row = played.row
        retries += row["retries"]
        stalls += 0 if scenario.starved else row["pauses"]
        if len(retries) + 1 >= ATTEMPTS or not stalled(stage.contract, scenario, row):
            more = {"retries": retries, "stalls": stalls, "seconds": time.monotonic() - began_s}
            return played._replace(row=row | more)
        retries.append("; ".join(row["faults"]))


def stalled(contract: Contract, scenario: Scenario, row: dict) -> bool:
    """Whether a row failed as the node got no processor, and none was injected that makes it: for
    longer than its commands may be old, which it has to take for a fault, or while the arm was
    brought to rest, which was late and had no other fault."""
    if row["ok"] or scenario.starved:
        return False
    longest_ms = contract.streams["policy_command"].max_age_s * 1e3
    by_itself = row["reason"] in STALLS and row["reason"] not in scenario.reasons
    if by_itself and row["longest_gap_ms"] > longest_ms:
        return True
    return row["late"] and row["longest_gap_ms"] > PAUSE * 1e3 / contract.rates.control_hz


def _play(stage: Stage, scenario: Scenario) -> Played:
    retries = _begin(stage, scenario)
    stage.event("inject")
    for name, *arguments in scenario.acts:
        ACTS[name](stage, *arguments)
    _see(stage, scenario)
    stage.event("clear")
    stage.mend()
    stage.event("recover")
    again, restarted = _begin_again(stage, scenario)
    stage.event("end")
    stage.recording.look()
    recording = {"messages": stage.recording.messages, "events": list(stage.events)}
    verdict = judge(stage.contract.to_dict(), recording, asdict(scenario))
    tried = [*retries, *again]
    more = {"retries": tried, "recovered_at": len(again) + 1, "restarted": restarted}
    return Played(told(scenario) | verdict | more, recording)


def unplayed(scenario: Scenario, error: UserError) -> dict:
    """The row of a scenario that came to no end."""
    nothing = {
        "reason": "",
        "detail": "",
        "speed_at_injection": 0.0,
        "rest_ms": None,
        "rest_periods": None,
    }
    failed = {"ok": False, "recovered": False, "commands": 0, "faults": [str(error)]}
    return told(scenario) | nothing | failed | {"retries": [], "stalls": 0, "restarted": False}


def told(scenario: Scenario) -> dict:
    """What a row says of its scenario."""
    return {"name": scenario.name, "family": scenario.family, "injected": scenario.told}


def _begin(stage: Stage, scenario: Scenario) -> list[str]:
    """The node prepared, the arm swinging where it has to; why that took more than one attempt."""
    failed: list[str] = []
    while len(failed) < ATTEMPTS:
        stage.prepare(scenario.rig)
        if not scenario.moving or (stage.change("activate") and is_fast(stage)):
            break
        failed.append("before the injection: the arm did not swing")
    return failed


def _begin_again(stage: Stage, scenario: Scenario) -> tuple[list[str], bool]:
    """On request, the arm swings once more, then the run is ended; why that took more than one
    attempt, and whether it took another node."""
    failed: list[str] = []
    restarted = False
    while len(failed) < ATTEMPTS:
        if not stage.recover():
            failed.append("afterwards: it was not activated")
        elif not is_fast(stage):
            failed.append("afterwards: the arm did not swing")
        else:
            break
        if scenario.may_restart and not restarted:
            stage.restart()
            restarted = True
    stage.rest()
    time.sleep(QUIET_S)
    return failed, restarted


def is_fast(stage: Stage) -> bool:
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
    # what it says of itself comes ten times a second, of a gate once
    time.sleep(1.2 if scenario.rig == "gate" else 0.3)
