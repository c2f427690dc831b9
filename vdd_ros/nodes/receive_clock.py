"""ReceiveClock: when the message in hand was received, also for a node that is a little behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from vdd_ros.nodes.messages import NS_PER_S

QUEUE = 2000  # as long as what a recorder may have waiting
# No message waits for that long: a time that is further off is of another clock than the system's.
FAR_NS = 3600 * NS_PER_S


class ReceiveClock:
    """The node's clock; in simulated time, /clock in line with all other messages.

    A message is received when the middleware takes it from the wire, by the system's clock, which
    is the ROS clock. How long it then waits for a node that is behind, or for others of its kind,
    is no property of the message.

    In simulated time the system's clock says nothing. There rclpy itself keeps only the newest
    message of /clock: a node that comes back after 40 ms to a simulation at five times real time
    would then stamp all that waited with one and the same time, 0.2 s too late. Here /clock waits
    its turn in the same queue, so that a recording does not depend on how busy the machine was.
    """

    def __init__(self, node: Node):
        self._node = node
        self._simulated = node.get_parameter("use_sim_time").value
        self._now_ns = 0
        self._last_ns: dict[str, int] = {}
        if self._simulated:
            qos = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
            node.create_subscription(Clock, "/clock", self._take, qos)

    def _take(self, message: Clock) -> None:
        self._now_ns = message.clock.sec * NS_PER_S + message.clock.nanosec

    def now_ns(self) -> int:
        """Nanoseconds of ROS time; 0 before the first /clock."""
        return self._now_ns if self._simulated else self._node.get_clock().now().nanoseconds

    def received_ns(self, name: str, information: Mapping[str, Any]) -> int:
        """When a message of a topic was received [ns of ROS time], from what the middleware says of
        it; now, where that says nothing.

        One that was sent again may be older in the reader than the one it waited for: nobody could
        have had it earlier than that. Where that one is of the future the clock was set back.
        """
        now_ns = self.now_ns()
        found_ns = int(information.get("received_timestamp") or 0)
        if self._simulated or not found_ns or abs(now_ns - found_ns) > FAR_NS:
            return now_ns
        last_ns = self._last_ns.get(name, found_ns)
        if last_ns <= now_ns:
            found_ns = max(found_ns, last_ns)
        self._last_ns[name] = found_ns
        return found_ns

    def is_before(self, received_ns: int, moment_ns: int) -> bool:
        """Whether a message only waited at a moment that is over. After a clock was set back that
        is not known, and none did."""
        return received_ns < moment_ns <= self.now_ns()
