"""The e-stop's topic, heard from before one listened."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from std_msgs.msg import Bool

DEPTH = 10


def listen_to_e_stop(
    node: Node, topic: str, take: Callable[[bool], None]
) -> tuple[Subscription, Subscription]:
    """Call `take` with every word of the e-stop, True for pressed.

    One subscription asks for the last word of publishers that keep it (transient local); it does
    not match the others, for which there is a second one. Some words are heard twice.
    """
    durabilities = (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE)
    last, new = (
        node.create_subscription(
            Bool,
            topic,
            lambda message: take(message.data),
            QoSProfile(depth=DEPTH, durability=durability),
        )
        for durability in durabilities
    )
    return last, new
