"""clock_node: tells the time of the host it runs on, to whoever records what comes from there.

~/ping   std_msgs/String, JSON: {"from": who asks, "asked_ns": when}
~/pong   std_msgs/String, JSON: the same with heard_ns and answered_ns, by the system clock here
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from std_msgs.msg import String

from vdd_ros.clock_offset import told_times
from vdd_ros.nodes.hosting import run_node
from vdd_ros.nodes.parameters import parameter, read_parameters


@dataclass(frozen=True)
class ClockParameters:
    pretended_shift_s: float = parameter(
        0.0, "by how much the clock is told to be ahead, to try who asks; 0 is the truth"
    )


class ClockNode(Node):
    """Answers every question at once."""

    def __init__(self) -> None:
        super().__init__("clock_node")
        settings = read_parameters(self, ClockParameters)
        self._shift_ns = round(settings.pretended_shift_s * 1e9)
        if self._shift_ns:
            self.get_logger().warning(
                f"the time told is {settings.pretended_shift_s:g} s off, as pretended_shift_s says"
            )
        self._pong = self.create_publisher(String, "~/pong", 100)
        self.create_subscription(String, "~/ping", self._answer, 100)

    def _answer(self, ping: String) -> None:
        heard_ns = time.time_ns()
        try:
            who, (asked_ns,) = told_times(ping.data, ["asked_ns"])
        except ValueError as error:
            self.get_logger().error(f"{ping.data[:80]!r} is no question for the time: {error}")
            return
        told = {"from": who, "asked_ns": asked_ns, "heard_ns": heard_ns + self._shift_ns}
        told |= {"answered_ns": time.time_ns() + self._shift_ns}
        self._pong.publish(String(data=json.dumps(told)))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(ClockNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
