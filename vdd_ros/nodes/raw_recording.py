"""RawRecording: everything that was ever published on some topics, as bytes, from another process.

Nothing runs while messages come: they wait in the readers' queues with the times at which they were
sent and came, as the middleware says, and are taken out afterwards. So a busy machine changes
neither what is recorded nor when.
"""

from __future__ import annotations

import os
from typing import Literal

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from vdd_ros.errors import UserError

Clock = Literal["sent", "came"]
TIMES: dict[Clock, Literal["source_timestamp", "received_timestamp"]] = {
    "sent": "source_timestamp",
    "came": "received_timestamp",
}
QUEUE = 20_000  # messages of a topic between two looks


class RawRecording:
    """A participant of its own in a ROS domain, which looks on and is no robot.

    topics: message class and QoS of each; a depth of QUEUE keeps all between two looks; clock:
    whether a message's time is that at which it was sent or that at which it came.
    """

    def __init__(
        self, domain: int, topics: dict[str, tuple[type, QoSProfile]], clock: Clock = "sent"
    ):
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # as that of `processes.isolated`
        self._context = Context()
        rclpy.init(
            context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self._node = Node("command_observer", context=self._context)
        self._time = TIMES[clock]
        self.messages: dict[str, list[tuple[int, bytes]]] = {}
        # in no executor: the callback is never called
        self._subscriptions = {
            topic: self._node.create_subscription(kind, topic, lambda _: None, qos, raw=True)
            for topic, (kind, qos) in topics.items()
        }
        self.clear()

    def clear(self) -> None:
        """Begin a new recording."""
        self.look()
        self.messages = {topic: [] for topic in self._subscriptions}

    def publishers(self, topic: str) -> int:
        """Of a topic, those that are heard; who was killed counts for a while. The graph may know
        of one before."""
        return self._subscriptions[topic].get_publisher_count()

    def look(self) -> None:
        """Take out what waits: (time [ns], bytes) by topic, into `messages`. Raises UserError where
        the middleware does not know the time."""
        for topic, subscription in self._subscriptions.items():
            found = self.messages.setdefault(topic, [])
            with (handle := subscription.handle):
                while (taken := handle.take_message(subscription.msg_type, True)) is not None:
                    data, information = taken
                    if not information[self._time]:
                        raise UserError(
                            "this middleware does not say when messages came: use Fast DDS"
                        )
                    found.append((int(information[self._time]), bytes(data)))

    def close(self) -> None:
        """Leave the domain."""
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)
