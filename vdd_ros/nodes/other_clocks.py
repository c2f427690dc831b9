"""OtherClocks: those of other hosts, asked again and again while a node records."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from vdd_ros.clock_offset import ClockOffset, Exchange, clock_fault, clock_offset, told_times
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import steady_timer

QUESTION_S = 0.02  # between two questions
QUESTIONS = 10  # in a row, of which the quickest answer counts
EVERY = 250  # questions could have been asked from one row to the next: 5 s
OLD_S = 12.0  # for a row that had no answer, and for one after it


class OtherClocks:
    """Asks every clock node for its time; heard(host, offset) after each row of questions."""

    def __init__(
        self, node: Node, nodes: Mapping[str, str], heard: Callable[[str, ClockOffset], None]
    ):
        """nodes: names of clock nodes, by host."""
        self._me, self._heard = uuid.uuid4().hex, heard
        self._nodes = dict(nodes)
        self._exchanges: dict[str, list[Exchange]] = {host: [] for host in nodes}
        self._last: dict[str, tuple[float, ClockOffset]] = {}  # monotonic [s]
        self._pings: dict[str, Publisher] = {}
        self._turn = 0
        for host, name in nodes.items():
            self._pings[host] = node.create_publisher(String, f"{name}/ping", 100)
            node.create_subscription(String, f"{name}/pong", partial(self._take, host), 100)
        if nodes:
            steady_timer(node, QUESTION_S, self._ask)

    def require_close(self, most_s: float) -> None:
        """Raise UserError unless every clock was heard of lately and is within bounds."""
        for host, name in self._nodes.items():
            if self._is_silent(host):
                raise UserError(
                    f"the clock of {host} does not answer on {name}/ping: start clock_node there "
                    f"(ros2 run vdd_ros clock_node), or leave it out of `clocks`"
                )
            if fault := clock_fault(host, self._last[host][1], most_s):
                raise UserError(fault)

    @property
    def silent(self) -> list[str]:
        """Hosts whose clocks were not heard of lately."""
        return [host for host in self._nodes if self._is_silent(host)]

    def _is_silent(self, host: str) -> bool:
        last = self._last.get(host)
        return last is None or time.monotonic() - last[0] > OLD_S

    def _ask(self) -> None:
        place, self._turn = self._turn % EVERY, self._turn + 1
        for host, ping in self._pings.items():
            if place < QUESTIONS and ping.get_subscription_count():
                asked = {"from": self._me, "asked_ns": time.time_ns()}
                ping.publish(String(data=json.dumps(asked)))
            if place == 2 * QUESTIONS and self._exchanges[host]:
                offset = clock_offset(self._exchanges[host])
                self._last[host] = time.monotonic(), offset
                self._exchanges[host] = []
                self._heard(host, offset)
        if place == 2 * QUESTIONS and len(self._last) < len(self._nodes):
            self._turn = 0  # somebody was not there yet: ask again soon

    def _take(self, host: str, pong: String) -> None:
        received_ns = time.time_ns()
        try:
            who, times = told_times(pong.data, ["asked_ns", "heard_ns", "answered_ns"])
        except ValueError:
            return  # no answer of a clock node
        if who != self._me:
            return
        exchange = Exchange(times[0], times[1], times[2], received_ns)
        if exchange.delay_ns >= 0:  # else one of the clocks was set meanwhile
            self._exchanges[host].append(exchange)
