"""The contract's streams as the bytes that come over the wire, for who keeps every one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rclpy.node import Node

from vdd_ros.bag import Recorded
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.nodes.messages import message_class, qos_of
from vdd_ros.nodes.qos_events import SubscriptionEventCallbacks


def listen_raw(
    node: Node,
    contract: Contract,
    take: Callable[[str, bytes], None],
    lose: Callable[[str, int], None] | None = None,
) -> None:
    """Call `take` with the name of a stream and each of its messages, and `lose` with the number of
    those that the middleware says did not arrive."""
    for name, stream in contract.streams.items():
        listen_to(node, name, stream, queue_depth(stream), take, lose)


def listen_to(
    node: Node,
    name: str,
    topic: Recorded,
    depth: int,
    take: Callable[[str, bytes], None],
    lose: Callable[[str, int], None] | None = None,
) -> None:
    """The same for one topic, of which so many messages may wait."""
    events = None
    if lose is not None:
        events = SubscriptionEventCallbacks(message_lost=partial(_tell_lost, lose, name))
    node.create_subscription(
        message_class(topic.type),
        topic.topic,
        partial(take, name),
        qos_of(topic, depth=depth),
        raw=True,
        event_callbacks=events,
    )


def _tell_lost(lose: Callable[[str, int], None], name: str, info) -> None:
    lose(name, info.total_count_change)


def queue_depth(stream: Stream) -> int:
    """Five seconds of messages: control wants the newest, a recording wants every one."""
    return max(stream.depth, round(5 * stream.rate_hz))
