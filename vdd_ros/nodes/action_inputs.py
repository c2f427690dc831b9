"""What action_node listens to: samples and what cameras show, for its ControlThread."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rclpy.clock import ROSClock
from rclpy.lifecycle import LifecycleNode

from vdd_ros.camera_eye import CameraEye, Sight
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.control_thread import Arrival
from vdd_ros.errors import MissingJoint, UserError
from vdd_ros.eyes import Eyes
from vdd_ros.nodes.camera_thread import CameraThread
from vdd_ros.nodes.stream_reader import StreamReader
from vdd_ros.nodes.wire import Decoder
from vdd_ros.tick_result import Fault

# A publisher that does not fit may be known before it is in the graph.
DISCOVERY_S = 2.0


class Inputs:
    """What the node listens to. Streams are read by the control thread, at its ticks; cameras by
    threads of their own, as long as `looking` is true."""

    def __init__(self, node: LifecycleNode, contract: Contract, eyes: Eyes):
        self.looking = lambda: False
        self.complaints: dict[str, str] = {}  # by stream, why its last message was not taken
        self._misfits_s: dict[str, float] = {}  # when a publisher was found not to fit
        self._node = node
        self._clock = node.get_clock()
        names = {part.stream for part in contract.observation}
        names |= {"joint_state", "teleop_command"} & set(contract.streams)
        self._readers = [
            StreamReader(node, contract, name, self._note_misfit) for name in sorted(names)
        ]
        self._decoders = {name: Decoder(contract.streams[name], contract) for name in names}
        self._cameras = [
            CameraThread(
                node,
                contract,
                CameraEye(contract, name, eyes),
                self._note_misfit,
                lambda: self.looking(),
            )
            for name in contract.observed_cameras
        ]

    def receive(self, now_ns: int) -> Iterator[Arrival]:
        """What has come since it was asked last, stream by stream."""
        clock = self._clock
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        for reader in self._readers:
            for data, received_ns in reader.take():
                known_ns = received_ns if received_ns and not simulated else now_ns
                yield self._arrival(reader.name, data, known_ns)
        for camera in self._cameras:
            yield from map(_seen, camera.take())

    def figures(self) -> dict[str, object]:
        """Of its cameras."""
        now_ns = self._clock.now().nanoseconds
        return {k: v for camera in self._cameras for k, v in camera.figures(now_ns).items()}

    def _arrival(self, name: str, data: bytes, received_ns: int) -> Arrival:
        try:
            fields, stamp_ns = self._decoders[name].decode(data, received_ns)
        except UserError as error:
            self.complaints[name] = str(error)
            is_missing = isinstance(error, MissingJoint)
            reason = StopReason.JOINT_MISSING if is_missing else StopReason.MESSAGE_BROKEN
            return Arrival(name, None, received_ns, received_ns, Fault(reason, str(error)))
        self.complaints.pop(name, None)
        return Arrival(name, fields, stamp_ns, received_ns)

    def faults(self) -> list[str]:
        """What is wrong with streams; of a publisher that does not fit, as long as it is there."""
        now_s = time.monotonic()
        for reader in (*self._readers, *(camera.reader for camera in self._cameras)):
            noted_s = self._misfits_s.get(reader.name)
            if noted_s is not None and now_s - noted_s > DISCOVERY_S and not reader.misfits():
                del self._misfits_s[reader.name]
                self.complaints.pop(reader.name, None)
        odd = [camera.complaint for camera in self._cameras if camera.complaint]
        return [*self.complaints.values(), *odd]

    def _note_misfit(self, name: str, why: str) -> None:
        self._misfits_s[name] = time.monotonic()
        self.complaints[name] = why

    def destroy(self) -> None:
        """Stop listening."""
        for camera in self._cameras:
            camera.destroy()
        for reader in self._readers:
            reader.destroy()


def _seen(sight: Sight) -> Arrival:
    fields = dict(sight.features) if sight.fault is None else None
    times = sight.stamp_ns, sight.received_ns
    return Arrival(sight.camera, fields, *times, sight.fault, sight.content)
