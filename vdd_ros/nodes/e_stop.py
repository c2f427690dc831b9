"""The e-stop of a node: a topic, heard from before one listened, and a service.

The contract's topic   std_msgs/Bool, True for pressed, from publishers of any number and QoS
~/e_stop               std_srvs/SetBool, the same by hand; letting go also forgets publishers that
                       pressed and are gone, or cannot be told apart
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from vdd_ros.e_stop import UNKNOWN, EStop
from vdd_ros.nodes.hosting import steady_timer

DEPTH = 10
LOOK_PERIOD_S = 0.01
SERVICE = "service"  # who speaks by it
# One that asks for the last word of publishers that keep it, one for those that do not, and one for
# those that are not reliable either; no single one fits all. Most words are heard more than once.
READERS = (
    QoSProfile(depth=DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    QoSProfile(depth=DEPTH),
    QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT),
)


class EStopListener:
    """Calls `take` with whether the e-stop is pressed, at every word of it."""

    def __init__(
        self, node: Node, topic: str, take: Callable[[bool], None], by_service: bool = True
    ):
        self.topic = topic
        self.beat_ns = 0  # when it last looked, by a steady clock
        self.presses = 0  # words that it is pressed, so that a short press is not missed
        self._node, self._take = node, take
        self._state = EStop()
        self._newest: dict[bytes | str, int] = {}  # number of each publisher's last word
        self._subscriptions = [
            node.create_subscription(Bool, topic, lambda message: None, qos) for qos in READERS
        ]
        # Only who takes a message itself is told whose it is (see `StreamReader`).
        for subscription in self._subscriptions:
            node._subscriptions.remove(subscription)
        self._service = (
            node.create_service(SetBool, "~/e_stop", self._answer) if by_service else None
        )
        self._timer = steady_timer(node, LOOK_PERIOD_S, self.look)

    @property
    def pressed(self) -> bool:
        """Whether somebody holds it pressed."""
        return self._state.pressed

    def look(self) -> None:
        """Hear what has been said since; called by itself as long as the node's executor runs. No
        more than may wait: a flood does not hold up who looks."""
        for subscription in self._subscriptions:
            handle = subscription.handle
            with handle:
                waiting = iter(partial(handle.take_message, Bool, False), None)
                for taken in islice(waiting, DEPTH):
                    self._hear(*taken)
        self.beat_ns = time.monotonic_ns()

    def _hear(self, message: Bool, information: Mapping[str, Any]) -> None:
        who, number = _gid(information), information.get("publication_sequence_number")
        if number is not None and who != UNKNOWN:  # each publisher counts its own
            if number <= self._newest.get(who, 0):
                return  # heard before, or overtaken by a later word
            self._newest[who] = number
        self._state.say(who, message.data)
        self.presses += message.data
        self._take(self.pressed)

    def _answer(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._state.say(SERVICE, request.data)
        self.presses += request.data
        left = 1 if request.data else self._state.forget_others(self._there())
        self._take(self.pressed)
        response.success = request.data or not left
        response.message = (
            "pressed"
            if request.data
            else f"still pressed by {left} on {self.topic}: let go there"
            if left
            else "let go; nothing moves before it is asked to"
        )
        return response

    def _there(self) -> list[bytes | str]:
        """Who may still let go: the service, and publishers of its topic that the graph knows."""
        ends = self._node.get_publishers_info_by_topic(self._subscriptions[0].topic_name)
        return [SERVICE, *(bytes(end.endpoint_gid) for end in ends)]

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_timer(self._timer)
        if self._service is not None:
            self._node.destroy_service(self._service)
        for subscription in self._subscriptions:
            self._node._subscriptions.append(subscription)
            self._node.destroy_subscription(subscription)


def _gid(information: Mapping[str, Any]) -> bytes | str:
    """Who published a message, as the graph calls it; UNKNOWN where ROS does not say, as before
    ROS 2 Kilted."""
    gid = information.get("publisher_gid")
    return bytes(gid["data"]) if gid else UNKNOWN
