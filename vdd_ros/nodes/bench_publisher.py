"""bench_publisher: robot commands from a loop that does nothing else, the least that Python can do.

What `vdd bench control` holds `action_node` against: the same message,
rate, priority and way of sleeping.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.nodes.hosting import run_node
from vdd_ros.nodes.messages import command_message, message_class, qos_of
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.realtime import claim, lock_memory, pace, undisturbed


@dataclass(frozen=True)
class BenchPublisherParameters:
    contract: str = parameter("", "path of the contract YAML", required=True)
    position: str = parameter("", "joints to send [unit], separated by spaces", required=True)
    realtime_priority: int = parameter(0, "as that of action_node", lower=0, upper=99)


class BenchPublisher(Node):
    """A thread that publishes one and the same command at the control rate."""

    def __init__(self) -> None:
        super().__init__("bench_publisher")
        settings = read_parameters(self, BenchPublisherParameters)
        contract = Contract.from_yaml(settings.contract)
        stream = contract.streams["robot_command"]
        position = np.array(settings.position.split(), dtype=np.float64)
        publisher = self.create_publisher(message_class(stream.type), stream.topic, qos_of(stream))
        self._ended = threading.Event()

        def loop() -> None:
            claim(settings.realtime_priority, -1)
            if settings.realtime_priority:
                lock_memory()
            with undisturbed():
                for _ in pace(contract.control_period_ns):
                    if self._ended.is_set():
                        return
                    now_ns = self.get_clock().now().nanoseconds
                    publisher.publish(command_message(stream, contract, position, now_ns))

        self._thread = threading.Thread(target=loop)
        self._thread.start()

    def destroy_node(self) -> None:
        self._ended.set()
        self._thread.join()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(BenchPublisher, args)


if __name__ == "__main__":
    raise SystemExit(main())
