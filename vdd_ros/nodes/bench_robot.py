"""bench_robot: an arm that is where it was last sent, and says so as often as a fast robot does.

What `vdd bench control` lets commands be sent to. Objects of the contract stay where they are.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Stream
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import run_node
from vdd_ros.nodes.messages import (
    NS_PER_S,
    fields_of,
    joint_state_message,
    message_class,
    poses_message,
    qos_of,
)
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.realtime import pace

NOWHERE = np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # position [m] and quaternion of an object


@dataclass(frozen=True)
class BenchRobotParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    position: str = parameter("", "joints to begin at [unit], separated by spaces", required=True)


class BenchRobot(Node):
    """Each stream of the contract's observation in a thread, at its own rate."""

    def __init__(self) -> None:
        super().__init__("bench_robot")
        settings = read_parameters(self, BenchRobotParameters)
        self.contract = Contract.from_yaml(settings.contract)
        self._position = np.array(settings.position.split(), dtype=np.float64)
        if self._position.shape != (self.contract.n_joints,):
            raise UserError(f"position has to name {self.contract.n_joints} joints")
        self._commands = command = self.contract.streams["robot_command"]
        self.create_subscription(
            message_class(command.type), command.topic, self._obey, qos_of(command)
        )
        self._ended = threading.Event()
        names = {"joint_state", *(part.stream for part in self.contract.observation)}
        self._threads = [
            threading.Thread(target=self._tell, args=(self.contract.streams[name],))
            for name in sorted(names)
        ]
        for thread in self._threads:
            thread.start()

    def _obey(self, message) -> None:
        self._position = fields_of(message, self.contract, self._commands)["position"]

    def _tell(self, stream: Stream) -> None:
        publisher = self.create_publisher(message_class(stream.type), stream.topic, qos_of(stream))
        poses = np.tile(NOWHERE, (len(self.contract.objects), 1))
        still = np.zeros(self.contract.n_joints)
        for _ in pace(round(NS_PER_S / stream.rate_hz)):
            if self._ended.is_set():
                return
            now_ns = self.get_clock().now().nanoseconds
            if stream.is_of_objects:
                publisher.publish(poses_message(poses, self.contract.frames.base, now_ns))
                continue
            correction = self.contract.correction_of(stream)
            told = self._position if correction is None else correction.encoders(self._position)
            publisher.publish(joint_state_message(self.contract.joint_names, told, now_ns, still))

    def destroy_node(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(BenchRobot, args)


if __name__ == "__main__":
    raise SystemExit(main())
