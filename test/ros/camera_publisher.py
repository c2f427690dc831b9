"""A process that publishes pictures of all cameras of a contract until it is ended.

python test/ros/camera_publisher.py CONTRACT
"""

from __future__ import annotations

import struct
import sys
import time

import rclpy
from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.nodes.bench_sources import messages_of
from vdd_ros.nodes.messages import NS_PER_S, message_class, qos_of
from vdd_ros.realtime import pace


def main(path: str) -> None:
    contract = Contract.from_yaml(path)
    rclpy.init()
    node = Node("camera_publisher")
    cameras = contract.cameras
    made = {name: messages_of(contract, name) for name in cameras}
    publishers = {
        name: node.create_publisher(message_class(one.type), one.topic, qos_of(one))
        for name, one in cameras.items()
    }
    period_ns = round(NS_PER_S / max(one.rate_hz for one in cameras.values()))
    for number, _ in enumerate(pace(period_ns)):
        for name, publisher in publishers.items():
            message = made[name][number % len(made[name])]
            struct.pack_into("<iI", message, 4, *divmod(time.time_ns(), NS_PER_S))
            publisher.publish(bytes(message))


if __name__ == "__main__":
    main(sys.argv[1])
