"""CommandObserver: when robot commands arrive in another process, as the middleware says it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import Float64MultiArray

from vdd_ros.bag import header_stamp_ns
from vdd_ros.contract import Contract
from vdd_ros.nodes.decision_messages import decisions_of
from vdd_ros.nodes.messages import NS_PER_S, message_class, qos_of
from vdd_ros.nodes.raw_recording import QUEUE, RawRecording

LOOK_S = 0.5
STATE, DECISIONS = "/action_node/policy_state", "/action_node/decisions"


class Observed(NamedTuple):
    """commands_ns: (N,) when robot commands arrived; wishes_ns, ticks_ns: (M,) when a policy's
    wishes did, and the ticks that they are of, all by the system's clock; ages_s: (M,) at each of
    these ticks, of the newest sample that its plan was made of, NaN where it was not told; state:
    what the policy last said of its run."""

    commands_ns: np.ndarray
    wishes_ns: np.ndarray
    ticks_ns: np.ndarray
    ages_s: np.ndarray
    state: dict[str, str]


class CommandObserver:
    """A participant of its own in a ROS domain. Use as a context manager."""

    def __init__(self, domain: int, contract: Contract):
        streams = [contract.streams[name] for name in ("robot_command", "policy_command")]
        self._command, self._wish = (stream.topic for stream in streams)
        reliable = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy.RELIABLE)
        topics: dict[str, tuple[type, QoSProfile]] = {
            stream.topic: (message_class(stream.type), qos_of(stream, depth=QUEUE))
            for stream in streams
        }
        self._recording = RawRecording(
            domain,
            topics | {STATE: (DiagnosticArray, reliable), DECISIONS: (Float64MultiArray, reliable)},
            "came",
        )

    def __enter__(self) -> CommandObserver:
        return self

    def __exit__(self, *_) -> None:
        self._recording.close()

    def observe(self, seconds: float) -> Observed:
        """What arrives from now on for so long."""
        self._recording.clear()
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            time.sleep(min(LOOK_S, left_s))
            self._recording.look()
        told = self._recording.messages
        wishes, states = told[self._wish], told[STATE]
        ticks_ns = np.array([header_stamp_ns(data) for _, data in wishes], dtype=np.int64)
        return Observed(
            np.array([came_ns for came_ns, _ in told[self._command]], dtype=np.int64),
            np.array([came_ns for came_ns, _ in wishes], dtype=np.int64),
            ticks_ns,
            _ages_s([data for _, data in told[DECISIONS]], ticks_ns),
            _state(states[-1][1]) if states else {},
        )


def _ages_s(decisions: list[bytes], ticks_ns: np.ndarray) -> np.ndarray:
    """(M,) how old the newest sample of the plan followed was at each tick [s], NaN if not told."""
    told: dict[int, float] = {}
    for data in decisions:
        rows = decisions_of(deserialize_message(data, Float64MultiArray))
        when_ns = rows["tick_s"].astype(np.int64) * NS_PER_S + rows["tick_ns"].astype(np.int64)
        told.update(zip(when_ns.tolist(), rows["observation_age_s"].tolist(), strict=True))
    return np.array([told.get(tick_ns, np.nan) for tick_ns in ticks_ns.tolist()])


def _state(data: bytes) -> dict[str, str]:
    message: Any = deserialize_message(data, DiagnosticArray)
    return {item.key: item.value for status in message.status for item in status.values}
