"""ReceiveClock: when the message in hand was received, also for a node that is a little behind."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from vdd_ros.nodes.messages import NS_PER_S

QUEUE = 2000  # as long as what a recorder may have waiting


class ReceiveClock:
    """The node's clock; in simulated time, /clock in line with all other messages.

    rclpy itself keeps only the newest message of /clock. A node that comes back after 40 ms to a
    simulation at five times real time would then stamp all that waited with one and the same time,
    0.2 s too late. Here /clock waits its turn in the same queue, so that a recording does not
    depend on how busy the machine was.
    """

    def __init__(self, node: Node):
        self._node = node
        self._simulated = node.get_parameter("use_sim_time").value
        self._now_ns = 0
        if self._simulated:
            qos = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
            node.create_subscription(Clock, "/clock", self._take, qos)

    def _take(self, message: Clock) -> None:
        self._now_ns = message.clock.sec * NS_PER_S + message.clock.nanosec

    def now_ns(self) -> int:
        """Nanoseconds of ROS time; 0 before the first /clock."""
        return self._now_ns if self._simulated else self._node.get_clock().now().nanoseconds
