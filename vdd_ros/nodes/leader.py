"""The leader's side of the topics: joint states come in, teleop commands go out."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.publisher import Publisher

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import command_qos, message_class, qos_of
from vdd_ros.nodes.raw_streams import queue_depth


def open_leader(node: Node, contract: Contract, on_state: Callable) -> Publisher:
    """Listen to the contract's joint states, and return the publisher of its teleop stream."""
    listen_to_states(node, contract, on_state)
    teleop = contract.streams["teleop_command"]
    return node.create_publisher(
        message_class(teleop.type), teleop.topic, command_qos(contract, "teleop_command")
    )


def listen_to_states(node: Node, contract: Contract, on_state: Callable) -> None:
    """Listen to every one of the contract's joint states, also after a moment of other work."""
    states = contract.streams["joint_state"]
    qos = qos_of(states, queue_depth(states))
    node.create_subscription(message_class(states.type), states.topic, on_state, qos)
