"""CommandObserver: when robot commands arrive in another process, as the middleware says it.

Nothing runs while commands come: they wait in the reader's queue with the time at which they
arrived, and are taken out afterwards. So what is measured does not depend on how soon Python looks.
"""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from vdd_ros.bag import header_stamp_ns
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.messages import message_class, qos_of

QUEUE = 20_000  # messages of a topic between two looks
LOOK_S = 0.5


class Observed(NamedTuple):
    """commands_ns: (N,) when robot commands arrived; wishes_ns, ticks_ns: (M,) when a policy's
    wishes did, and the ticks that they are of, all by the system's clock; state: what the policy
    last said of its run."""

    commands_ns: np.ndarray
    wishes_ns: np.ndarray
    ticks_ns: np.ndarray
    state: dict[str, str]


class CommandObserver:
    """A participant of its own in a ROS domain. Use as a context manager."""

    def __init__(self, domain: int, contract: Contract):
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # as that of `processes.isolated`
        self._context = Context()
        rclpy.init(
            context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self._node = Node("command_observer", context=self._context)
        streams = contract.streams
        self._commands, self._wishes = (
            self._listen(message_class(stream.type), stream.topic, qos_of(stream, depth=QUEUE))
            for stream in (streams["robot_command"], streams["policy_command"])
        )
        reliable = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy.RELIABLE)
        self._states = self._listen(DiagnosticArray, "/action_node/policy_state", reliable)

    def __enter__(self) -> CommandObserver:
        return self

    def __exit__(self, *_) -> None:
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def observe(self, seconds: float) -> Observed:
        """What arrives from now on for so long."""
        for subscription in (self._commands, self._wishes, self._states):
            _take_all(subscription)
        commands, wishes, states = [], [], []
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            time.sleep(min(LOOK_S, left_s))
            commands += _take_all(self._commands)
            wishes += _take_all(self._wishes)
            states += _take_all(self._states)
        return Observed(
            np.array([arrived_ns for _, arrived_ns in commands], dtype=np.int64),
            np.array([arrived_ns for _, arrived_ns in wishes], dtype=np.int64),
            np.array([header_stamp_ns(data) for data, _ in wishes], dtype=np.int64),
            _state(states[-1][0]) if states else {},
        )

    def _listen(self, kind: type, topic: str, qos: QoSProfile):
        # in no executor: the callback is never called
        return self._node.create_subscription(kind, topic, lambda _: None, qos, raw=True)


def _take_all(subscription) -> list[tuple[bytes, int]]:
    """Everything that waits, and when it arrived [ns]."""
    found = []
    with (handle := subscription.handle):
        while (taken := handle.take_message(subscription.msg_type, True)) is not None:
            data, information = taken
            if not information["received_timestamp"]:
                raise UserError("this middleware does not say when messages arrive: use Fast DDS")
            found.append((bytes(data), int(information["received_timestamp"])))
    return found


def _state(data: bytes) -> dict[str, str]:
    message: Any = deserialize_message(data, DiagnosticArray)
    return {item.key: item.value for status in message.status for item in status.values}
