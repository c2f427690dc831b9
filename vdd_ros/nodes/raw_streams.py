"""The contract's streams as the bytes that come over the wire, for who keeps every one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.nodes.messages import message_class, qos_of


def listen_raw(node: Node, contract: Contract, take: Callable[[str, bytes], None]) -> None:
    """Call `take` with the name of a stream and each of its messages."""
    for name, stream in contract.streams.items():
        node.create_subscription(
            message_class(stream.type),
            stream.topic,
            partial(take, name),
            qos_of(stream, depth=queue_depth(stream)),
            raw=True,
        )


def queue_depth(stream: Stream) -> int:
    """Five seconds of messages: control wants the newest, a recording wants every one."""
    return max(stream.depth, round(5 * stream.rate_hz))
