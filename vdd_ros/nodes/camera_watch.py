"""Cameras of a page: listened to while somebody looks at them, and at no other time."""

from __future__ import annotations

from functools import partial

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from vdd_ros.page.previews import (
    COMPRESSED,
    Camera,
    Pixels,
    Previews,
    jpeg_of_compressed,
    jpeg_of_pixels,
)

NEWEST = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)


class CameraWatch:
    """The subscriptions of a node that feed `previews`, as raw messages."""

    def __init__(self, node: Node, previews: Previews):
        self._node, self._previews = node, previews
        self._watched: dict[str, Subscription] = {}

    def look(self, now_s: float) -> None:
        """Listen to the cameras that are wanted now; to be called in the node's own thread."""
        wanted = self._previews.wanted(now_s)
        for name in self._watched.keys() - wanted:
            self._node.destroy_subscription(self._watched.pop(name))
        for name in wanted - self._watched.keys():
            camera = self._previews.cameras[name]
            self._watched[name] = self._node.create_subscription(
                CompressedImage if camera.type == COMPRESSED else Image,
                camera.topic,
                partial(self._previews.put, name),
                NEWEST,
                raw=True,
            )


def jpeg_of(camera: Camera, message: bytes) -> bytes:
    """The small picture of one raw message; raises UserError."""
    if camera.type == COMPRESSED:
        return jpeg_of_compressed(bytes(deserialize_message(message, CompressedImage).data))
    image = deserialize_message(message, Image)
    return jpeg_of_pixels(
        Pixels(image.encoding, image.width, image.height, image.step, bytes(image.data))
    )
