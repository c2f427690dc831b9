"""Whether a node can answer: it may be asked before it has found who asks.

A client knows that a service is there once it found both of its ends; the service may find the
client's two ends later, one after the other. rmw_fastrtps holds an answer back for 100 ms then and
gives it up (ros2/rmw_fastrtps#467): what was asked has happened, and who asked waits for ever.
"""

from __future__ import annotations

import time

from rcl_interfaces.srv import GetParameterTypes
from rclpy.node import Node
from rclpy.task import Future

from vdd_ros.nodes.script import Script

AGAIN_S = 0.5


class Knock:
    """Asks another node something harmless, again and again, until it answers.

    What a participant tells of its readers is told in order: a node that answers this has found
    every client that was made before. Make it after the clients whose answers count.

    name: the node's, as its services begin. Use `answered` until it says yes.
    """

    def __init__(self, node: Node, name: str):
        self._node = node
        self._client = node.create_client(GetParameterTypes, f"{name}/get_parameter_types")
        self._asked: Future | None = None
        self._again_s = 0.0

    def answered(self) -> bool:
        """Whether it did, by now; ask several times a second."""
        if self._asked is not None and self._asked.done():
            return True
        now_s = time.monotonic()
        if self._client.service_is_ready() and now_s >= self._again_s:
            if self._asked is not None:
                self._client.remove_pending_request(self._asked)
            self._asked = self._client.call_async(GetParameterTypes.Request())
            self._again_s = now_s + AGAIN_S
        return False

    def close(self) -> None:
        """Leave nothing behind."""
        self._node.destroy_client(self._client)


def acquainted(node: Node, name: str) -> Script[None]:
    """Wait until another node has found the clients that this one made so far."""
    knock = Knock(node, name)
    yield knock.answered
    knock.close()
