"""Verdicts: what a simulator's latched ~/episode says of the episode that runs, and of no other."""

from __future__ import annotations

import json

from rclpy.node import Node
from std_msgs.msg import String

from vdd_ros.nodes.messages import latched_qos


class Verdicts:
    """The newest verdict of `sim_node`.

    A latched word is heard whenever its publisher is discovered, on a busy machine seconds after
    the node began: it may be of an episode before. So each is taken by when it was made.
    """

    def __init__(self, node: Node, simulator: str):
        self._newest: dict = {}
        node.create_subscription(String, f"{simulator}/episode", self._take, latched_qos())

    def success_since(self, stamp_ns: int) -> bool | None:
        """Whether the episode that was under way at a joint state's stamp succeeded; None while it
        is undecided."""
        return self._newest["success"] if self._newest.get("decided_ns", 0) > stamp_ns else None

    def _take(self, message: String) -> None:
        self._newest = json.loads(message.data)
