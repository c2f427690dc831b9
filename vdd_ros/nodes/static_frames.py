"""Frames that stand still, on /tf_static, to whoever comes whenever (REP-105, tf2)."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from vdd_ros.calibration_parts import Transform
from vdd_ros.nodes.messages import latched_qos, time_message


class StaticFrames:
    """What a node tells of frames; each telling takes the place of the one before."""

    def __init__(self, node: Node):
        self._node = node
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:  # of ROS 2 from PyPI, which has no such package
            self._publisher = None
            return
        self._message = TFMessage
        self._publisher = node.create_publisher(TFMessage, "/tf_static", latched_qos())

    def tell(self, transforms: Sequence[Transform]) -> None:
        """Publish them, and say so where nobody can."""
        if not transforms:
            return
        now_ns = self._node.get_clock().now().nanoseconds
        found = [transform_message(one, now_ns) for one in transforms]
        if self._publisher is not None:
            self._publisher.publish(self._message(transforms=found))
            return
        named = ", ".join(one.child_frame for one in transforms)
        self._node.get_logger().warning(
            f"{named} cannot be told on /tf_static: install ros-$ROS_DISTRO-tf2-msgs"
        )


def transform_message(transform: Transform, stamp_ns: int) -> TransformStamped:
    """T_parent_child, as of a static_transform_publisher."""
    message = TransformStamped(child_frame_id=transform.child_frame)
    message.header.frame_id = transform.parent_frame
    message.header.stamp = time_message(stamp_ns)
    for axis, value in zip("xyz", transform.translation_m, strict=True):
        setattr(message.transform.translation, axis, value)
    for axis, value in zip("xyzw", transform.quat_xyzw, strict=True):
        setattr(message.transform.rotation, axis, value)
    return message
