"""The leader's side of the topics: joint states come in, teleop commands go out."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.publisher import Publisher

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import command_qos, message_class, qos_of


def open_leader(node: Node, contract: Contract, on_state: Callable) -> Publisher:
    """Listen to the contract's joint states, and return the publisher of its teleop stream."""
    listen_to_states(node, contract, on_state)
    teleop = contract.streams["teleop_command"]
    return node.create_publisher(
        message_class(teleop.type), teleop.topic, command_qos(contract, "teleop_command")
    )


def listen_to_states(node: Node, contract: Contract, on_state: Callable) -> None:
    """Listen to the contract's joint states."""
    states = contract.streams["joint_state"]
    node.create_subscription(message_class(states.type), states.topic, on_state, qos_of(states))
