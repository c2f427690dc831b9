"""Who speaks to a gate: a leader, or a policy."""

from __future__ import annotations

import threading

import numpy as np
from harness import Observer
from sensor_msgs.msg import JointState

from vdd_ros.nodes.messages import joint_state_message, qos_of


class Operator:
    """Says where the arm is to go, at 100 Hz, while it has a target. off_ns: by how much its clock
    is ahead."""

    def __init__(self, observer: Observer, contract, stream: str):
        self.target: np.ndarray | None = None
        self.off_ns = 0
        self._clock = observer.node.get_clock()
        self._names = contract.joint_names
        stream = contract.streams[stream]
        self._publisher = observer.node.create_publisher(JointState, stream.topic, qos_of(stream))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._speak)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _speak(self):
        while not self._ended.wait(0.01):
            if self.target is not None:
                now_ns = self._clock.now().nanoseconds + self.off_ns
                self._publisher.publish(joint_state_message(self._names, self.target, now_ns))
