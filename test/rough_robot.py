"""A robot on a bad network, as a process: joint states with jitter, loss, late arrival, disorder.

    python test/rough_robot.py SECONDS SEED       (the system clock; /joint_states at 200 Hz)

Every sample has a position of its own, so that a window tells which samples it was made of.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from recordings import CONTRACT, position_at
from sensor_msgs.msg import JointState

from vdd_ros.nodes.messages import joint_state_message, message_class, qos_of

MS = 1_000_000
PERIOD = 5 * MS


def schedule(seconds: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(when to send, stamp) in ns from the start, in the order of sending."""
    count = int(seconds * 1e9 / PERIOD)
    stamps = np.arange(count) * PERIOD + rng.integers(0, PERIOD // 2, count)
    delays = np.where(rng.random(count) < 0.03, rng.integers(5 * MS, 20 * MS, count), 0)
    kept = rng.random(count) > 0.02
    return sorted(zip((stamps + delays)[kept].tolist(), stamps[kept].tolist(), strict=True))


def main(seconds: float, seed: int) -> None:
    rclpy.init()
    node = rclpy.create_node("rough_robot")
    stream = CONTRACT.streams["joint_state"]
    qos: QoSProfile = qos_of(stream, depth=1000)
    publisher = node.create_publisher(JointState, stream.topic, qos)
    command = CONTRACT.streams["robot_command"]
    # it listens, as a robot has to, and does not obey
    node.create_subscription(
        message_class(command.type), command.topic, lambda _: None, qos_of(command)
    )
    while publisher.get_subscription_count() < 2:
        time.sleep(0.01)
    start_ns = time.time_ns()
    for send_ns, stamp_ns in schedule(seconds, np.random.default_rng(seed)):
        time.sleep(max(0, start_ns + send_ns - time.time_ns()) * 1e-9)
        stamp_ns += start_ns
        message = joint_state_message(CONTRACT.joint_names, position_at(stamp_ns), stamp_ns)
        publisher.publish(message)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
