"""The contract's streams as the bytes that come over the wire, for who keeps every one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from rclpy.node import Node

from vdd_ros.bag import Recorded
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.nodes.messages import message_class, qos_of
from vdd_ros.nodes.qos_events import SubscriptionEventCallbacks
from vdd_ros.publisher_numbers import Origin

Information = Mapping[str, Any]  # what the middleware says of a message, empty in ROS 2 Humble


def listen_raw(
    node: Node,
    contract: Contract,
    take: Callable[[str, bytes, Information], None],
    lose: Callable[[str, int], None] | None = None,
) -> None:
    """Call `take` with the name of a stream, each of its messages and what is said of it, and
    `lose` with the number of those that the middleware says did not arrive."""
    for name, stream in contract.streams.items():
        listen_to(node, name, stream, queue_depth(stream), take, lose)


def listen_to(
    node: Node,
    name: str,
    topic: Recorded,
    depth: int,
    take: Callable[[str, bytes, Information], None],
    lose: Callable[[str, int], None] | None = None,
) -> None:
    """The same for one topic, of which so many messages may wait."""
    events = None
    if lose is not None:
        events = SubscriptionEventCallbacks(message_lost=partial(_tell_lost, lose, name))
    node.create_subscription(
        message_class(topic.type),
        topic.topic,
        informed(partial(take, name)),
        qos_of(topic, depth=depth),
        raw=True,
        event_callbacks=events,
    )


def informed(take: Callable[[bytes, Information], None]) -> Callable[..., None]:
    """A callback of a raw subscription that also gets what the middleware says of a message."""

    def call(*given) -> None:
        if len(given) == 1:  # the events executor makes both a tuple; ROS 2 Humble tells nothing
            given = given[0] if isinstance(given[0], tuple) else (given[0], {})
        take(*given)

    call.__signature__ = signature(take)  # type: ignore[attr-defined]  # rclpy asks for it
    return call


def origin_of(information: Information) -> Origin | None:
    """Whose message it is; None where that is not told, and numbers of several publishers of a
    topic could not be told apart."""
    gid = information.get("publisher_gid")
    number = information.get("publication_sequence_number")
    return Origin(bytes(gid["data"]), number) if gid and number else None


def _tell_lost(lose: Callable[[str, int], None], name: str, info) -> None:
    lose(name, info.total_count_change)


def queue_depth(stream: Stream) -> int:
    """Five seconds of messages: control wants the newest, a recording wants every one."""
    return max(stream.depth, round(5 * stream.rate_hz))
