"""What a recording holds, for the checker: limits, commands, and what was said, in plain numbers.

Read from the contract's file and from bytes; nothing of this is shared with the node.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

STATE, LOG, PLANT = "/action_node/policy_state", "/rosout", "/plant/joint_states"
DIAGNOSTICS = "/diagnostics"
TYPES = {
    STATE: "diagnostic_msgs/msg/DiagnosticArray",
    LOG: "rcl_interfaces/msg/Log",
    DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    PLANT: "sensor_msgs/msg/JointState",
}
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
GATE = "command_gate"  # which tells its reasons in its diagnostics
ENCAPSULATION = 4  # bytes before a message
ERROR = 40  # level of a log message


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
    """sent_ns: (N,); positions: (N, Da) [unit], NaN where a command has another size; velocities:
    (N, Da) [unit/s], where commands tell any."""

    sent_ns: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None = None


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
    found = sorted(recording["messages"].get(topic, []), key=lambda one: one[0])
    return [(sent, message_of(data, kind or TYPES[topic])) for sent, data in found]


def message_of(data: bytes, kind: str) -> Any:
    """Of bytes as they came; a publisher may have left some free at the end, which the typestore's
    own function takes for a fault."""
    definition = typestore().get_msgdef(kind)
    message, _ = definition.deserialize_cdr_le(data[ENCAPSULATION:], 0, definition.cls, typestore())
    return message


def commands_of(contract: dict, recording: dict) -> Commands:
    """Every command that was ever published."""
    stream, size = contract["streams"]["robot_command"], len(contract["joints"])
    found = decoded(recording, stream["topic"], stream["type"])
    times = np.array([sent_ns for sent_ns, _ in found], dtype=np.int64)
    if stream["type"] == TRAJECTORY:
        names = [joint["name"] for joint in contract["joints"]]
        points = [point_of(names, message) for _, message in found]
        rows = np.array(points).reshape(len(points), 2, size)
        return Commands(times, rows[:, 0], rows[:, 1])
    positions = [np.asarray(message.data, dtype=np.float64) for _, message in found]
    whole = [row if row.shape == (size,) else np.full(size, np.nan) for row in positions]
    return Commands(times, np.array(whole).reshape(len(whole), size))


def point_of(names: list[str], message: Any) -> np.ndarray:
    """(2, Da) position and velocity of the only point of a trajectory; NaN where it is not of all
    joints, or of more points than one."""
    told, points = list(message.joint_names), message.points
    if sorted(told) != sorted(names) or len(points) != 1:
        return np.full((2, len(names)), np.nan)
    rows = [
        np.asarray(row, dtype=np.float64) for row in (points[0].positions, points[0].velocities)
    ]
    if any(row.shape != (len(names),) for row in rows):
        return np.full((2, len(names)), np.nan)
    return np.array(rows)[:, [told.index(name) for name in names]]


class Readings(NamedTuple):
    """sent_ns: (R,); positions: (R, Da) that the arm itself told [unit]."""

    sent_ns: np.ndarray
    positions: np.ndarray


def readings_of(limits: Limits, recording: dict) -> Readings:
    """Whatever the node was told."""
    times, rows = [], []
    for sent_ns, message in decoded(recording, PLANT):
        told = dict(zip(message.name, message.position, strict=True))
        times.append(sent_ns)
        rows.append([told[name] for name in limits.names])
    positions = np.array(rows).reshape(len(rows), len(limits.names))
    return Readings(np.array(times, dtype=np.int64), positions)


class Reason(NamedTuple):
    """name: of a stop, or what was said instead of one; detail: what was said beside it."""

    name: str
    detail: str = ""


def reason_of(recording: dict, begin_ns: int, end_ns: int) -> Reason:
    """The first reason of a stop that the node told in its state; else its first error."""
    for topic in (STATE, DIAGNOSTICS):
        for sent_ns, message in decoded(recording, topic):
            found = [one for one in message.status if topic == STATE or one.name == GATE]
            values = {pair.key: pair.value for status in found for pair in status.values}
            if begin_ns <= sent_ns < end_ns and values.get("stop_reason"):
                return Reason(values["stop_reason"], values.get("stop_detail", ""))
    said = [
        message.msg
        for sent_ns, message in decoded(recording, LOG)
        if begin_ns <= sent_ns < end_ns and message.level >= ERROR and message.name == "action_node"
    ]
    return Reason(said[0] if said else "")


def typestore():
    """Of the message definitions, made once."""
    from rosbags.typesys import Stores, get_typestore

    if "store" not in _MADE:
        _MADE["store"] = get_typestore(Stores.ROS2_JAZZY)
    return _MADE["store"]


_MADE: dict[str, Any] = {}
