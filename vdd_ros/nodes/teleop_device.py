"""An operator's device at its topic or terminal: messages in, readings out, for teleop_node."""

from __future__ import annotations

import time
from collections.abc import Callable

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, Joy

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.messages import NS_PER_S, stamp_ns_of
from vdd_ros.nodes.terminal import Terminal
from vdd_ros.teleop.device import (
    Device,
    JoyDevice,
    KeyboardDevice,
    LeaderDevice,
    Pedal,
    TwistDevice,
)
from vdd_ros.teleop.follower import LONG_AGO_S
from vdd_ros.teleop.joystick import Joystick, is_held
from vdd_ros.teleop.keys import Keys
from vdd_ros.teleop.leader_map import LeaderMap
from vdd_ros.teleop.reading import Reading
from vdd_ros.teleop.twists import Twists

DEPTH = 10
# best effort hears reliable publishers as well
QOS = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)


class TopicDevice:
    """A leader, a joystick or twists: `take` is given the reading of every message in order.

    refused: how many were not; complaint: why the last one was not; is_closed: the clutch of a
    leader, which `asks` to be closed where it has no pedal. Raises UserError where device and
    contract do not fit.
    """

    def __init__(
        self,
        node: Node,
        device: LeaderDevice | JoyDevice | TwistDevice,
        contract: Contract,
        take: Callable[[Reading, float], None],
    ):
        self._node, self._device, self._take = node, device, take
        self.refused = 0
        self.complaint = ""
        self.is_closed = False
        self.asks = isinstance(device, LeaderDevice) and device.pedal is None
        self._pedal: Pedal | None = None
        self._pedal_s = LONG_AGO_S
        if isinstance(device, LeaderDevice):
            self._open_leader(device, LeaderMap(device, contract))
        elif isinstance(device, JoyDevice):
            stick = Joystick(device, contract)
            self._listen(Joy, lambda message: stick.read(message.axes, message.buttons))
        else:
            twists = Twists(device, contract)
            self._listen(TwistStamped, lambda message: _twist(twists, message))

    def _open_leader(self, device: LeaderDevice, joints: LeaderMap) -> None:
        self._pedal = device.pedal
        if device.pedal is not None:
            self._node.create_subscription(Joy, device.pedal.topic, self._on_pedal, QOS)

        def read(message: JointState) -> Reading:
            position = joints.read(message.name, message.position)
            if self._pedal and time.monotonic() - self._pedal_s > self._pedal.timeout_s:
                self.is_closed = False  # whose driver says nothing is not pressed
            return Reading(position, wanted=self.is_closed)

        self._listen(JointState, read)

    def _on_pedal(self, message: Joy) -> None:
        assert self._pedal is not None
        self.is_closed = is_held(message.buttons, self._pedal.button)
        self._pedal_s = time.monotonic()

    def _listen(self, kind: type, read: Callable[..., Reading]) -> None:
        def on_message(message) -> None:
            try:
                self._require_fresh(message)
                reading = read(message)
            except UserError as error:
                self.refused, self.complaint = self.refused + 1, str(error)
                return
            self.complaint = ""
            self._take(reading, time.monotonic())

        self._node.create_subscription(kind, self._device.topic, on_message, QOS)

    def _require_fresh(self, message) -> None:
        """A message without a stamp counts as of when it came."""
        stamp_ns, timeout_s = stamp_ns_of(message), self._device.timeout_s
        age_s = (self._node.get_clock().now().nanoseconds - stamp_ns) / NS_PER_S
        if stamp_ns and abs(age_s) > timeout_s:
            raise UserError(
                f"a message on {self._device.topic} is {age_s:.2f} s old by its stamp, at most "
                f"{timeout_s:g} is allowed: is the network slow, or do two clocks differ?"
            )


class TerminalDevice:
    """Keys of the terminal that the node was started in; `look` has to be called all the time.

    Raises UserError where there is no terminal, or device and contract do not fit.
    """

    def __init__(self, keys: Keys):
        self._keys = keys
        self._terminal = Terminal()
        if not self._terminal.is_one:
            raise UserError(
                "the keyboard is read from a terminal, and this is none: start teleop_node by "
                "`ros2 run` in a terminal of its own, not from a launch file"
            )
        print(*keys.help(), sep="\n", flush=True)

    def close(self) -> None:
        """The terminal as it was."""
        self._terminal.close()

    @property
    def is_over(self) -> bool:
        """Whether the person has quit, or is not at the other end any more."""
        return self._keys.is_over or self._terminal.is_closed

    def look(self) -> Reading:
        """What is wanted now."""
        now_s = time.monotonic()
        pressed = self._terminal.keys()
        for key in pressed:
            for line in self._keys.press(key, now_s):
                print(line, flush=True)
        return self._keys.read(now_s)


def open_device(
    node: Node, device: Device, contract: Contract, take: Callable[[Reading, float], None]
) -> TopicDevice | TerminalDevice:
    """See both."""
    if isinstance(device, KeyboardDevice):
        return TerminalDevice(Keys(device, contract))
    return TopicDevice(node, device, contract, take)


def _twist(twists: Twists, message: TwistStamped) -> Reading:
    linear, angular = (
        (part.x, part.y, part.z) for part in (message.twist.linear, message.twist.angular)
    )
    return twists.read(message.header.frame_id, linear, angular)
