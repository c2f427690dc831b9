"""fault_relay: stands between a robot and who drives it, and passes on less, more or other things.

What the robot tells on /plant/TOPIC goes out on TOPIC, commands go the other way. On /fault_relay
(std_msgs/String, JSON) it is told what to do to a stream: {"stream": NAME, "fault": NAME, ...}, see
`Line`; `pass` ends it. Part of `vdd bench faults`.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import String

from vdd_ros.contract import Contract
from vdd_ros.nodes.corruption import CORRUPTIONS
from vdd_ros.nodes.hosting import run_node, steady_timer
from vdd_ros.nodes.messages import (
    NS_PER_S,
    clock_message,
    message_class,
    qos_of,
    stamp_ns_of,
    time_message,
)
from vdd_ros.nodes.parameters import parameter, read_parameters

PLANT, FAULTS = "/plant", "/fault_relay"
SWAPPED = ("instead", "disguised")  # faults that are another source's messages
CLOCK = "clock"  # /clock, which is no stream of a contract
DEPTH = 100
LOOK_PERIOD_S = 0.005  # of what waits to be passed on later


@dataclass(frozen=True)
class RelayParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    streams: str = parameter(
        "", "names of streams and cameras, separated by commas; or clock", required=True
    )


class Line:
    """One stream. Faults beside those of `corruption`:

    silent      nothing is passed on
    each        one message in `value` is
    late        `value` seconds later
    burst       what comes in `value` seconds is, at once
    copies      each `value` times
    swapped     two by two, the later first
    repeated    the first one, again and again
    held        its content, with the stamps of now
    cut         `value` bytes of it
    garbage     `value` bytes that nobody meant instead, others each time
    instead     what the source called `value` tells, of the same type
    disguised   the same, in the frame that is this one's
    unheard     nobody listens any more
    jump        /clock, `value` seconds off
    pace        /clock, at `value` times its pace
    one_in      beside a corruption: of so many messages, one

    """

    def __init__(
        self, node: Node, kind: type, topics: tuple[str, str], qos: QoSProfile, frame: str = ""
    ):
        """topics: what is heard, and what it is passed on to; frame: that of a camera."""
        self._node, self._kind, self._topics, self._qos = node, kind, topics, qos
        self._frame, self._heard = frame, ""
        self._noise = np.random.default_rng(0)
        self._out = node.create_publisher(kind, topics[1], qos)
        self._subscription: Any = None
        self._waiting: deque[tuple[float, bytes]] = deque()
        self.tell({"fault": "pass"})

    def tell(self, fault: dict, instead: str | None = None) -> None:
        """What to do from now on; instead: another topic to hear."""
        self._fault = fault
        self._count = 0
        self._kept: Any = None
        self._began_s = time.monotonic()
        self._waiting.clear()
        self._hear("" if fault["fault"] == "unheard" else instead or self._topics[0])

    def _hear(self, topic: str) -> None:
        """One topic and no other; none at all where it has no name."""
        if topic == self._heard:
            return
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._heard, self._subscription = topic, None
        if topic:
            self._subscription = self._node.create_subscription(
                self._kind, topic, self._take, self._qos, raw=True
            )

    def look(self) -> None:
        """Pass on what is due."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            self._out.publish(self._waiting.popleft()[1])

    def _take(self, data: bytes) -> None:
        self._count += 1
        name, value = self._fault["fault"], self._fault.get("value", 0.0)
        if name in CORRUPTIONS:
            if self._count % self._fault.get("one_in", 1):
                self._out.publish(data)
                return
            message = deserialize_message(data, self._kind)
            CORRUPTIONS[name](message, value, self._fault.get("joint", ""))
            self._out.publish(message)
        else:
            getattr(self, f"_{name}")(data, value)

    def _pass(self, data: bytes, value: float) -> None:
        self._out.publish(data)

    def _silent(self, data: bytes, value: float) -> None:
        pass

    def _each(self, data: bytes, value: float) -> None:
        if self._count % int(value) == 0:
            self._out.publish(data)

    def _late(self, data: bytes, value: float) -> None:
        self._waiting.append((time.monotonic() + value, data))

    def _burst(self, data: bytes, value: float) -> None:
        now_s = time.monotonic()
        end_s = now_s + value - (now_s - self._began_s) % value
        self._waiting.append((end_s, data))

    def _copies(self, data: bytes, value: float) -> None:
        for _ in range(int(value)):
            self._out.publish(data)

    def _swapped(self, data: bytes, value: float) -> None:
        if self._kept is None:
            self._kept = data
            return
        self._out.publish(data)
        self._out.publish(self._kept)
        self._kept = None

    def _repeated(self, data: bytes, value: float) -> None:
        self._kept = self._kept or data
        self._out.publish(self._kept)

    def _held(self, data: bytes, value: float) -> None:
        self._kept = self._kept or data
        now, then = (deserialize_message(one, self._kind) for one in (data, self._kept))
        then.header.stamp = time_message(stamp_ns_of(now))
        self._out.publish(then)

    def _cut(self, data: bytes, value: float) -> None:
        self._out.publish(bytes(data)[: int(value)])

    def _garbage(self, data: bytes, value: float) -> None:
        self._out.publish(self._noise.bytes(int(value)))

    def _instead(self, data: bytes, value: str) -> None:
        self._out.publish(data)

    def _disguised(self, data: bytes, value: str) -> None:
        message = deserialize_message(data, self._kind)
        message.header.frame_id = self._frame
        self._out.publish(message)

    def _jump(self, data: bytes, value: float) -> None:
        self._out.publish(clock_message(max(1, _clock_ns(data) + round(value * NS_PER_S))))

    def _pace(self, data: bytes, value: float) -> None:
        now_ns = _clock_ns(data)
        self._kept = self._kept or now_ns
        self._out.publish(clock_message(self._kept + round((now_ns - self._kept) * value)))


def _clock_ns(data: bytes) -> int:
    time_now = deserialize_message(data, ClockMessage).clock
    return time_now.sec * NS_PER_S + time_now.nanosec


class FaultRelay(Node):
    """Hosts a line for each stream."""

    def __init__(self) -> None:
        super().__init__("fault_relay")
        settings = read_parameters(self, RelayParameters)
        self._contract = contract = Contract.from_yaml(settings.contract)
        self._lines = {name: self._line(contract, name) for name in settings.streams.split(",")}
        self.create_subscription(String, FAULTS, self._on_fault, DEPTH)
        steady_timer(self, LOOK_PERIOD_S, self._on_timer)

    def _line(self, contract: Contract, name: str) -> Line:
        if name == CLOCK:
            return Line(self, ClockMessage, (f"{PLANT}/clock", "/clock"), QoSProfile(depth=10))
        source = contract.sources[name]
        topics = f"{PLANT}{source.recorded_topic}", source.topic
        if name == "robot_command":
            topics = topics[1], topics[0]
        frame = contract.cameras[name].frame if name in contract.cameras else ""
        return Line(self, message_class(source.type), topics, qos_of(source, depth=DEPTH), frame)

    def _on_fault(self, message: String) -> None:
        fault = json.loads(message.data)
        if fault["stream"] not in self._lines:
            return
        instead = None
        if fault["fault"] in SWAPPED:
            instead = f"{PLANT}{self._contract.sources[fault['value']].recorded_topic}"
        self._lines[fault["stream"]].tell(fault, instead)

    def _on_timer(self) -> None:
        for line in self._lines.values():
            line.look()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(FaultRelay, args)


if __name__ == "__main__":
    raise SystemExit(main())
