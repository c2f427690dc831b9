"""Judges a recording of commands from outside: it knows the contract's file, the messages and what
was to be expected, and shares no code with the node that sent them.

recording: {"messages": {topic: [(sent_ns, bytes), ...]}, "events": [(name, time_ns), ...]}, all by
the system's clock. Events are what was done to the node: `activate`, `inject`, `clear`, `recover`,
`end`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.commands.bench.faults.motion import (
    SETTLED,
    command_faults,
    ends_at_rest,
    longest_gap_ms,
    moved_between,
    pauses_in_motion,
    speed_at,
)
from vdd_ros.commands.bench.faults.recorded import (
    Commands,
    Limits,
    Readings,
    commands_of,
    limits_of,
    readings_of,
    reason_of,
)

TOO_LATE = "at rest after"
DELIVERY_S = 0.1  # from an injection here to the node that is to notice it
STANDING_NS = 300_000_000  # for which an arm is looked at that nobody drives
BESIDE = 0.01  # [unit]; that a controller may leave an arm beside where it was sent
QUIET_S = 0.4  # of silence, before an arm counts as left alone
HALF = 0.5  # share of the speed limit that an injection has to meet


def judge(contract: dict, recording: dict, expected: dict) -> dict:
    """The row of a scenario: what was seen, and every way in which it is not what was promised.

    expected: outcome (rest, goes on, either, silence, nothing), reasons, says, detection_s, moving;
    starved: the node is kept from its processor, and can send nothing meanwhile; its_share: of the
    processor that it gets while it brakes.
    """
    limits = limits_of(contract)
    commands = commands_of(contract, recording)
    times = dict(recording["events"])  # the last of each name
    starts_ns = [time_ns for name, time_ns in recording["events"] if name == "activate"]
    faults = command_faults(limits, commands, recording)
    speed = speed_at(limits, commands, times["inject"])
    if expected["moving"] and speed < HALF:
        faults.append(f"the arm moved at {speed:.0%} of its speed limit when it was injected")
    reason, detail = reason_of(recording, times["inject"], times["recover"])
    rest = rest_after(commands, times["inject"], times["recover"])
    readings = readings_of(limits, recording)
    faults += outcome_faults(limits, commands, times, expected, rest, reason, readings)
    if expected["says"] not in detail:
        faults.append(f"beside {reason} is told {detail!r}, not {expected['says']!r}")
    again_ns = max(times["recover"], times.get("activate", 0))
    recovered = moved_between(commands, again_ns, times["end"])
    if not recovered:
        faults.append("it did not drive again on request")
    if not ends_at_rest(commands):
        faults.append("the last command is not at rest")
    return {
        "ok": not faults,
        "reason": reason,
        "detail": detail,
        "speed_at_injection": round(float(speed), 3),
        "rest_ms": round(rest.seconds * 1e3),
        "rest_periods": rest.periods,
        "recovered": recovered,
        "commands": len(commands.sent_ns),
        "longest_gap_ms": longest_gap_ms(commands, times["inject"], times["clear"]),
        "pauses": len(pauses_in_motion(limits, commands, starts_ns)),
        "late": bool(faults) and all(fault.startswith(TOO_LATE) for fault in faults),
        "faults": faults,
    }


class Rest(NamedTuple):
    """After an injection: until the arm was where it stayed, and for how long nothing came then;
    ramp: whether the commands themselves brought it to rest."""

    seconds: float
    periods: int
    quiet_s: float
    ramp: bool = True


def rest_after(commands: Commands, begin_ns: int, end_ns: int) -> Rest:
    """Of the commands that came before `end_ns`."""
    sent_ns, positions = commands.sent_ns, commands.positions
    until = int((sent_ns < end_ns).sum())
    if not until:
        return Rest(0.0, 0, (end_ns - begin_ns) * 1e-9)
    moving = np.flatnonzero(np.diff(positions[:until], axis=0).any(axis=1))
    last = int(moving[-1]) + 1 if moving.size else 0  # the first command at the place of rest
    seconds = max(0.0, (sent_ns[last] - begin_ns) * 1e-9)
    periods = int((sent_ns[: last + 1] >= begin_ns).sum())
    quiet_s = float((end_ns - sent_ns[until - 1]) * 1e-9)
    return Rest(float(seconds), periods, quiet_s, not 0 < last == until - 1)


def outcome_faults(
    limits: Limits,
    commands: Commands,
    times: dict[str, int],
    expected: dict,
    rest: Rest,
    reason: str,
    readings: Readings,
) -> list[str]:
    """What is not as it was to be expected after the injection."""
    outcome = expected["outcome"]
    after = (commands.sent_ns >= times["inject"]) & (commands.sent_ns < times["recover"])
    if outcome == "nothing":
        faults = [f"{after.sum()} commands came"] if after.any() else []
        return faults + wrong_reason(reason, expected)
    if outcome == "silence":
        late = after & (commands.sent_ns > times["inject"] + DELIVERY_S * 1e9)
        faults = [f"{late.sum()} commands came of a node that is dead"] if late.any() else []
        return faults + standing_faults(commands, readings, times)
    if outcome == "goes on" or (outcome == "either" and not reason):
        return going_faults(commands, times, reason, expected)
    return rest_faults(limits, expected, rest) + wrong_reason(reason, expected)


def standing_faults(commands: Commands, readings: Readings, times: dict[str, int]) -> list[str]:
    """Of an arm whose node is dead: its own controller keeps it at the last command, until somebody
    asks for a new run."""
    told = readings.positions[
        (readings.sent_ns > times["recover"] - STANDING_NS) & (readings.sent_ns < times["recover"])
    ]
    sent = commands.positions[commands.sent_ns < times["recover"]][-1:]
    if not len(told) or not len(sent):
        return ["nobody knows where the arm stands"]
    if (moved := np.ptp(told, axis=0).max()) > SETTLED:
        return [f"the arm still moves, by {moved:.4f}"]
    beside = np.abs(told[-1] - sent[0]).max()
    return [f"the arm stands {beside:.3f} beside the last command"] if beside > BESIDE else []


def going_faults(
    commands: Commands, times: dict[str, int], reason: str, expected: dict
) -> list[str]:
    """Of a run that was to go on until it was ended (`clear`); reasons, where any are expected, are
    why somebody else does not begin."""
    faults = [f"it stopped: {reason}"] if reason else []
    if expected["outcome"] == "goes on" and expected["reasons"]:
        faults = wrong_reason(reason, expected)
    before = commands.sent_ns[commands.sent_ns < times["clear"]]
    if not before.size or times["clear"] - before[-1] > QUIET_S * 1e9:
        faults.append("its commands ended")
    elif not moved_between(commands, times["inject"], times["clear"]):
        faults.append("the arm stood still")
    return faults


def rest_faults(limits: Limits, expected: dict, rest: Rest) -> list[str]:
    """Of a stop: at rest within the stated time by the clock, then silence. A node that is kept
    from its processor can send no ramp: without commands the arm stands."""
    if not rest.ramp and not expected["starved"]:
        return ["the arm was not brought to rest"]
    faults = []
    ramp_s = limits.braking_s + 2 * limits.period_s
    allowed_s = expected["detection_s"] + DELIVERY_S + ramp_s / expected["its_share"]
    if rest.seconds > allowed_s:
        faults.append(f"{TOO_LATE} {rest.seconds:.2f} s, {allowed_s:.2f} s are allowed")
    if rest.quiet_s < QUIET_S:
        faults.append("commands went on after the stop")
    return faults


def wrong_reason(reason: str, expected: dict) -> list[str]:
    """Unless one of the expected ones was reported; a sentence has to hold one of them."""
    if any(wanted in reason for wanted in expected["reasons"]):
        return []
    return [f"the reason is {reason or 'not told'!r}, not {' or '.join(expected['reasons'])}"]
