"""Judges a recording of commands from outside: it knows the contract's file, the messages and what
was to be expected, and shares no code with the node that sent them.

recording: {"messages": {topic: [(sent_ns, bytes), ...]}, "events": [(name, time_ns), ...]}, all by
the system's clock. Events are what was done to the node: `activate`, `inject`, `clear`, `recover`,
`end`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

STATE, LOG, PLANT = "/action_node/policy_state", "/rosout", "/plant/joint_states"
TYPES = {
    STATE: "diagnostic_msgs/msg/DiagnosticArray",
    LOG: "rcl_interfaces/msg/Log",
    PLANT: "sensor_msgs/msg/JointState",
}
ERROR = 40  # level of a log message
ROUNDING = 1e-9
SETTLED = 1e-3  # [unit]; between two readings of an arm that has come to rest
RECENT_NS = 1_000_000_000  # of readings that a first command may begin from
DELIVERY_S = 0.1  # from an injection here to the node that is to notice it
QUIET_S = 0.4  # of silence, before an arm counts as left alone
HALF = 0.5  # share of the speed limit that an injection has to meet
MOVED = 0.05  # [unit]; by which an arm that drives again has to have moved
REMEMBERED = 5  # commands before an injection that its speed is taken from


class Limits(NamedTuple):
    """Per joint: lower, upper [unit]; move and change: per period, and per period squared."""

    lower: np.ndarray
    upper: np.ndarray
    move: np.ndarray
    change: np.ndarray
    period_s: float
    braking_s: float
    names: list[str]


class Commands(NamedTuple):
    """sent_ns: (N,); positions: (N, Da) [unit], NaN where a command has another size."""

    sent_ns: np.ndarray
    positions: np.ndarray


def judge(contract: dict, recording: dict, expected: dict) -> dict:
    """The row of a scenario: what was seen, and every way in which it is not what was promised.

    expected: outcome (rest, goes on, either, silence, nothing), reasons, detection_s, moving, and
    late_s: what is bounded in control periods may take so much longer by the clock.
    """
    limits = limits_of(contract)
    commands = commands_of(contract, recording)
    times = dict(recording["events"])  # the last of each name
    faults = command_faults(limits, commands, recording)
    speed = speed_at(limits, commands, times["inject"])
    if expected["moving"] and speed < HALF:
        faults.append(f"the arm moved at {speed:.0%} of its speed limit when it was injected")
    reason = reason_of(recording, times["inject"], times["recover"])
    rest = rest_after(limits, commands, times["inject"], times["recover"])
    faults += outcome_faults(limits, commands, times, expected, rest, reason)
    again_ns = max(times["recover"], times.get("activate", 0))
    recovered = moved_between(commands, again_ns, times["end"])
    if not recovered:
        faults.append("it did not drive again on request")
    if not ends_at_rest(commands):
        faults.append("the last command is not at rest")
    return {
        "ok": not faults,
        "reason": reason,
        "speed_at_injection": round(float(speed), 3),
        "rest_ms": None if rest is None else round(rest.seconds * 1e3),
        "rest_periods": None if rest is None else rest.periods,
        "recovered": recovered,
        "commands": len(commands.sent_ns),
        "longest_gap_ms": longest_gap_ms(commands, times["inject"], times["clear"]),
        "faults": faults,
    }


def limits_of(contract: dict) -> Limits:
    """Those of the contract's file, per control period."""
    joints, period_s = contract["joints"], 1.0 / contract["rates"]["control_hz"]
    lower, upper, velocity, acceleration = (
        np.array([joint[key] for joint in joints], dtype=np.float64)
        for key in ("lower", "upper", "velocity", "acceleration")
    )
    return Limits(
        lower,
        upper,
        velocity * period_s,
        acceleration * period_s**2,
        period_s,
        float((velocity / acceleration).max()),
        [joint["name"] for joint in joints],
    )


def decoded(recording: dict, topic: str, kind: str = "") -> list[tuple[int, Any]]:
    """(time [ns], message) of a topic, in the order in which they were sent."""
    store = _typestore()
    found = sorted(recording["messages"].get(topic, []), key=lambda one: one[0])
    return [(sent, store.deserialize_cdr(data, kind or TYPES[topic])) for sent, data in found]


def commands_of(contract: dict, recording: dict) -> Commands:
    """Every command that was ever published."""
    stream, size = contract["streams"]["robot_command"], len(contract["joints"])
    found = decoded(recording, stream["topic"], stream["type"])
    positions = [np.asarray(message.data, dtype=np.float64) for _, message in found]
    rows = [row if row.shape == (size,) else np.full(size, np.nan) for row in positions]
    times = np.array([sent_ns for sent_ns, _ in found], dtype=np.int64)
    return Commands(times, np.array(rows).reshape(len(rows), size))


def command_faults(limits: Limits, commands: Commands, recording: dict) -> list[str]:
    """What is wrong with the commands by themselves, whatever happened."""
    sent_ns, positions = commands
    if not np.isfinite(positions).all():
        return [f"{(~np.isfinite(positions).all(axis=1)).sum()} commands are not finite"]
    faults = []
    outside = (positions < limits.lower - ROUNDING) | (positions > limits.upper + ROUNDING)
    if outside.any():
        faults.append(f"{outside.any(axis=1).sum()} commands are outside the position limits")
    starts = [time_ns for name, time_ns in recording["events"] if name == "activate"]
    readings = readings_of(limits, recording)
    for begin_ns, end_ns in pairwise([*starts, np.iinfo(np.int64).max]):
        run = (sent_ns >= begin_ns) & (sent_ns < end_ns)
        before = positions[sent_ns < begin_ns][-1:]
        faults += run_faults(limits, sent_ns[run], positions[run], before, readings)
    if (early := sent_ns < min(starts, default=np.iinfo(np.int64).max)).any():
        faults.append(f"{early.sum()} commands came before the node was active")
    return faults


def readings_of(limits: Limits, recording: dict) -> tuple[np.ndarray, np.ndarray]:
    """(R,) times and (R, Da) positions that the arm itself told, whatever the node was told."""
    times, rows = [], []
    for sent_ns, message in decoded(recording, PLANT):
        told = dict(zip(message.name, message.position, strict=True))
        times.append(sent_ns)
        rows.append([told[name] for name in limits.names])
    return np.array(times, dtype=np.int64), np.array(rows).reshape(len(rows), len(limits.names))


def run_faults(
    limits: Limits,
    sent_ns: np.ndarray,
    positions: np.ndarray,
    before: np.ndarray,
    readings: tuple[np.ndarray, np.ndarray],
) -> list[str]:
    """Of one run, from one activation to the next; before: (0 or 1, Da) the last command of all."""
    if not len(positions):
        return []
    faults = []
    near = (readings[0] > sent_ns[0] - RECENT_NS) & (readings[0] < sent_ns[0])
    begins = np.concatenate([before, readings[1][near]])
    first = (np.abs(positions[0] - begins) - limits.change).max(axis=1)
    if not len(first) or first.min() > SETTLED:
        faults.append("a run does not begin where the arm is")
    moves = np.diff(positions, axis=0)
    changes = np.diff(moves, axis=0)
    if len(moves) and (np.abs(moves[0]) > 2 * limits.change + SETTLED).any():
        faults.append("a run begins with a jump")
    if (fast := np.abs(moves) > limits.move + ROUNDING).any():
        worst = (np.abs(moves) / limits.move).max()
        faults.append(f"{fast.any(axis=1).sum()} commands exceed the speed limit, by {worst:.2f}")
    if (hard := np.abs(changes) > limits.change + ROUNDING).any():
        worst = (np.abs(changes) / limits.change).max()
        faults.append(f"{hard.any(axis=1).sum()} commands exceed the acceleration, by {worst:.2f}")
    most = (sent_ns[-1] - sent_ns[0]) * 1e-9 / limits.period_s + 3
    if len(moves) > most:
        faults.append(f"{len(positions)} commands came in the time of {most:.0f}")
    return faults


def speed_at(limits: Limits, commands: Commands, time_ns: int) -> float:
    """The fastest joint's speed just before, as a share of its limit (median of a few periods)."""
    before = commands.positions[commands.sent_ns < time_ns][-REMEMBERED - 1 :]
    if len(before) <= REMEMBERED:
        return 0.0
    return float(np.median((np.abs(np.diff(before, axis=0)) / limits.move).max(axis=1)))


class Rest(NamedTuple):
    """After an injection: until the arm was where it stayed, and for how long nothing came then."""

    seconds: float
    periods: int
    quiet_s: float


def rest_after(limits: Limits, commands: Commands, begin_ns: int, end_ns: int) -> Rest | None:
    """None where the commands that came before `end_ns` do not end at rest."""
    sent_ns, positions = commands
    until = int((sent_ns < end_ns).sum())
    if not until:
        return Rest(0.0, 0, (end_ns - begin_ns) * 1e-9)
    moving = np.flatnonzero(np.diff(positions[:until], axis=0).any(axis=1))
    last = int(moving[-1]) + 1 if moving.size else 0  # the first command at the place of rest
    if last == until - 1 and last > 0:
        return None  # the last command still moved
    seconds = max(0.0, (sent_ns[last] - begin_ns) * 1e-9)
    periods = int((sent_ns[: last + 1] >= begin_ns).sum())
    return Rest(float(seconds), periods, float((end_ns - sent_ns[until - 1]) * 1e-9))


def outcome_faults(
    limits: Limits,
    commands: Commands,
    times: dict[str, int],
    expected: dict,
    rest: Rest | None,
    reason: str,
) -> list[str]:
    """What is not as it was to be expected after the injection."""
    outcome = expected["outcome"]
    after = (commands.sent_ns >= times["inject"]) & (commands.sent_ns < times["recover"])
    if outcome == "nothing":
        faults = [f"{after.sum()} commands came"] if after.any() else []
        return faults + wrong_reason(reason, expected)
    if outcome == "silence":
        late = after & (commands.sent_ns > times["inject"] + DELIVERY_S * 1e9)
        return [f"{late.sum()} commands came of a node that is dead"] if late.any() else []
    if outcome == "goes on" or (outcome == "either" and not reason):
        return going_faults(commands, times, reason)
    return rest_faults(limits, expected, rest) + wrong_reason(reason, expected)


def going_faults(commands: Commands, times: dict[str, int], reason: str) -> list[str]:
    """Of a run that was to go on until it was ended (`clear`)."""
    faults = [f"it stopped: {reason}"] if reason else []
    before = commands.sent_ns[commands.sent_ns < times["clear"]]
    if not before.size or times["clear"] - before[-1] > QUIET_S * 1e9:
        faults.append("its commands ended")
    elif not moved_between(commands, times["inject"], times["clear"]):
        faults.append("the arm stood still")
    return faults


def rest_faults(limits: Limits, expected: dict, rest: Rest | None) -> list[str]:
    """Of a stop: at rest within the stated time, then silence."""
    if rest is None:
        return ["the arm was not brought to rest"]
    faults = []
    allowed_s = expected["detection_s"] + DELIVERY_S + limits.braking_s + 2 * limits.period_s
    if rest.periods * limits.period_s > allowed_s + ROUNDING:
        faults.append(f"at rest after {rest.periods} periods, {allowed_s:.2f} s are allowed")
    if rest.seconds > allowed_s + expected["late_s"]:
        faults.append(f"at rest after {rest.seconds:.2f} s, {allowed_s:.2f} s are allowed")
    if rest.quiet_s < QUIET_S:
        faults.append("commands went on after the stop")
    return faults


def wrong_reason(reason: str, expected: dict) -> list[str]:
    """Unless one of the expected ones was reported; a sentence has to hold one of them."""
    if any(wanted in reason for wanted in expected["reasons"]):
        return []
    return [f"the reason is {reason or 'not told'!r}, not {' or '.join(expected['reasons'])}"]


def reason_of(recording: dict, begin_ns: int, end_ns: int) -> str:
    """The first reason of a stop that the node told in its state; else its first error."""
    for sent_ns, message in decoded(recording, STATE):
        values = {pair.key: pair.value for status in message.status for pair in status.values}
        if begin_ns <= sent_ns < end_ns and values.get("stop_reason"):
            return values["stop_reason"]
    said = [
        message.msg
        for sent_ns, message in decoded(recording, LOG)
        if begin_ns <= sent_ns < end_ns and message.level >= ERROR and message.name == "action_node"
    ]
    return said[0] if said else ""


def moved_between(commands: Commands, begin_ns: int, end_ns: int) -> bool:
    """Whether the arm was driven again."""
    run = commands.positions[(commands.sent_ns >= begin_ns) & (commands.sent_ns < end_ns)]
    return len(run) > 0 and bool(np.ptp(run, axis=0).max() > MOVED)


def longest_gap_ms(commands: Commands, begin_ns: int, end_ns: int) -> float:
    """Between two commands, the later of which came in that time; 0 where there are none."""
    later, gaps = commands.sent_ns[1:], np.diff(commands.sent_ns)
    found = gaps[(later >= begin_ns) & (later < end_ns)]
    return float(found.max() * 1e-6) if found.size else 0.0


def ends_at_rest(commands: Commands) -> bool:
    """Whether the last command repeats the one before."""
    last = commands.positions[-2:]
    return len(last) < 2 or bool((last[0] == last[1]).all())


def _typestore():
    from rosbags.typesys import Stores, get_typestore

    if "store" not in _MADE:
        _MADE["store"] = get_typestore(Stores.ROS2_JAZZY)
    return _MADE["store"]


_MADE: dict[str, Any] = {}
