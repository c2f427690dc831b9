"""The newest picture of one of the contract's cameras."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node

from vdd_ros.bag import header_stamp_ns
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.images import decode_image
from vdd_ros.nodes.messages import message_class, qos_of


class NewestPicture:
    """Keeps the bytes of the last message, and unpacks it when it is asked for."""

    def __init__(self, node: Node, contract: Contract, camera: str):
        if camera not in contract.cameras:
            raise UserError(
                f"camera {camera!r} is none of contract {contract.name}: name one of "
                f"{', '.join(contract.cameras) or 'another contract, as it has none'}"
            )
        self._camera = contract.cameras[camera]
        self._late_ns = contract.stamps_late_ns(camera)
        self._node, self._data = node, b""
        self.taken_ns = 0  # on the joint states' time, 0: none came
        node.create_subscription(
            message_class(self._camera.type),
            self._camera.topic,
            self._take,
            qos_of(self._camera, depth=1),
            raw=True,
        )

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8, red, green, blue; raises UserError where it is none."""
        return decode_image(self._camera, self._data)

    def _take(self, data: bytes) -> None:
        is_stamped = self._camera.timeline == "header"
        now_ns = self._node.get_clock().now().nanoseconds
        self.taken_ns = (header_stamp_ns(data) if is_stamped else now_ns) - self._late_ns
        self._data = data
