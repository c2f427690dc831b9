"""Whether the robot hears the commands.

An arm that joins in the middle would be sent where it is not: commands that nobody hears are a jump
later on. So nothing is sent before the robot listens, and when it no longer does, that is a stop.
Those who only look on are not the robot.
"""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.publisher import Publisher

# Both sides of a connection learn of it one after the other.
SETTLING_S = 0.1
LOOK_AGAIN_S = 1.0
NAMELESS_S = 1.0  # for which a subscriber without a name is not yet counted: it may still be told
NAMELESS = "_NODE_NAME_UNKNOWN_"
ONLOOKERS = ("recorder_node", "trial_node")
TOOLS = "_ros2cli"  # how the nodes of `ros2 topic echo` and its like begin


class Listeners:
    """The subscribers of one publisher that may be the robot."""

    def __init__(self, node: Node, publisher: Publisher):
        self._node, self._publisher = node, publisher
        self._count = self._robots = 0
        self._changed_s = self._looked_s = -LOOK_AGAIN_S
        self._since_s: float | None = None

    def present(self) -> bool:
        """Whether the robot has listened for long enough to hear what is published now."""
        now_s = time.monotonic()
        if not self._any(now_s):
            self._since_s = None
            return False
        since_s = self._since_s  # another thread may ask, and forget it, at the same time
        if since_s is None:
            self._since_s = since_s = now_s
        return now_s - since_s >= SETTLING_S

    def _any(self, now_s: float) -> bool:
        """Counting is cheap, asking for names is not: they are looked up where the count changed,
        and now and then."""
        count = self._publisher.get_subscription_count()
        if count != self._count:
            self._count, self._changed_s = count, now_s
            self._looked_s = now_s - LOOK_AGAIN_S
        if count and now_s - self._looked_s >= LOOK_AGAIN_S:
            ends = self._node.get_subscriptions_info_by_topic(self._publisher.topic_name)
            names = [end.node_name for end in ends]
            nameless_count = now_s - self._changed_s >= NAMELESS_S
            self._robots = sum(_may_be_robot(name, nameless_count) for name in names)
            if nameless_count or NAMELESS not in names:
                self._looked_s = now_s
        return count > 0 and self._robots > 0


def _may_be_robot(name: str, nameless_counts: bool) -> bool:
    if name == NAMELESS:
        return nameless_counts
    return name not in ONLOOKERS and not name.startswith(TOOLS)
