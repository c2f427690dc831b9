"""StreamReader: what has come on a topic, taken by whoever asks and when it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import message_class, qos_of
from vdd_ros.nodes.qos_events import SubscriptionEventCallbacks, qos_mismatch

QUEUE_S = 0.1  # of messages between two looks; of more, the oldest are lost


class StreamReader:
    """One stream or camera of a contract, without a callback.

    An executor would take every message at once, and the interpreter with it: at a thousand joint
    states a second that is a good part of a core, and a control thread that waits. Here messages
    wait in the reader of the middleware, which keeps the newest and the time at which each came.
    """

    def __init__(
        self, node: Node, contract: Contract, name: str, complain: Callable[[str, str], None]
    ):
        """complain: called with the name of the stream and what is wrong with its publishers."""
        stream = contract.sources[name]
        self.name = name
        self._node = node
        self._depth = depth = max(stream.depth, round(QUEUE_S * stream.rate_hz))
        self._kind = message_class(stream.type)
        self._subscription = node.create_subscription(
            self._kind,
            stream.topic,
            lambda message: None,
            qos_of(stream, depth),
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda info: complain(name, qos_mismatch(stream.topic, info))
            ),
        )
        # The graph knows it as the node's; the node's executor, which goes by this list, does not.
        # What it has to say of its publishers' QoS is still heard: that is a list of its own.
        node._subscriptions.remove(self._subscription)
        self._waiting: rclpy_implementation.WaitSet | None = None

    def misfits(self) -> bool:
        """Whether a publisher on its topic is there whose QoS does not fit its own."""
        ends = self._node.get_publishers_info_by_topic(self._subscription.topic_name)
        mine = self._subscription.qos_profile
        found = (qos_check_compatible(end.qos_profile, mine)[0] for end in ends)
        return any(verdict == QoSCompatibility.ERROR for verdict in found)

    def wait(self, seconds: float) -> None:
        """Until something has come that was not taken, at most so long; to be called by one thread,
        which keeps no other from the interpreter meanwhile."""
        context, handle = self._node.context.handle, self._subscription.handle
        assert context is not None
        with context, handle:
            if self._waiting is None:
                self._waiting = rclpy_implementation.WaitSet(1, 0, 0, 0, 0, 0, context)
            self._waiting.clear_entities()
            self._waiting.add_subscription(handle)
            self._waiting.wait(round(seconds * 1e9))

    def take(self) -> Iterator[tuple[bytes, int]]:
        """What has come since, oldest first, and no more than may wait: a flood does not hold up
        who asks. The message and when it came [ns] by the system's clock, 0 where the middleware
        does not say."""
        handle = self._subscription.handle
        with handle:
            waiting = iter(lambda: handle.take_message(self._kind, True), None)
            for data, information in islice(waiting, self._depth):
                yield data, int(information["received_timestamp"])

    def destroy(self) -> None:
        """Stop listening."""
        self._node._subscriptions.append(self._subscription)
        self._node.destroy_subscription(self._subscription)
