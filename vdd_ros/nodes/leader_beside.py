"""A leader beside an arm that stands: what its joints are, wherever both do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.node import Node

from vdd_ros.calibration.still import Still
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.leader_verdict import LEADER_STREAM
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.nodes.messages import NS_PER_S, fields_of, message_class, qos_of
from vdd_ros.nodes.teleop_device import TopicDevice
from vdd_ros.teleop.device import LeaderDevice, read_device
from vdd_ros.teleop.reading import Reading

WITHIN_S = 0.2  # of the still pose, that the leader spoke last


class LeaderBeside:
    """Listens to the contract's teleop stream, or to a leader's own topic by its device file, which
    it is heard on whether or not the arm is led by it.

    arm_ns: stamp of the newest joint state. Raises UserError where the device is no leader, or is
    to be looked at while the arm drives itself.
    """

    def __init__(
        self,
        node: Node,
        contract: Contract,
        settings: CalibrationParameters,
        arm_ns: Callable[[], int],
    ):
        self._node, self._contract, self._arm_ns = node, contract, arm_ns
        self._said_ns, self._position = 0, np.full(contract.n_joints, np.nan)
        self._has = np.ones(contract.n_joints, bool)  # joints that it leads
        if settings.device:
            self.topic = self._open_device(settings)
            return
        stream = contract.streams[LEADER_STREAM]
        self.topic = stream.topic
        kind = message_class(stream.type)
        node.create_subscription(kind, stream.topic, self._take_command, qos_of(stream))

    def at(self, still: Still) -> dict[str, float] | None:
        """Its joints by name where the arm stands; None where it said nothing there."""
        near = abs(self._said_ns - still.until_ns) < WITHIN_S * NS_PER_S
        if not near or not np.isfinite(self._position[self._has]).all():
            return None
        told = zip(self._contract.joint_names, self._position.tolist(), self._has, strict=True)
        return {name: value for name, value, has in told if has}

    def _open_device(self, settings: CalibrationParameters) -> str:
        device = read_device(settings.device)
        if not isinstance(device, LeaderDevice) or settings.drive:
            raise UserError(
                f"{settings.device} is named: joints are compared with those of a leader (source: "
                "leader), beside which a person brings the arm (drive:=false)"
            )
        self._has = np.array([name in device.joints for name in self._contract.joint_names])
        TopicDevice(self._node, device, self._contract, self._take_reading)
        return device.topic

    def _take_reading(self, reading: Reading, _: float) -> None:
        self._said_ns, self._position = self._arm_ns(), reading.wish

    def _take_command(self, message) -> None:
        try:
            stream = self._contract.streams[LEADER_STREAM]
            position = fields_of(message, self._contract, stream)["position"]
        except (UserError, KeyError) as error:
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        self._said_ns, self._position = self._arm_ns(), position
