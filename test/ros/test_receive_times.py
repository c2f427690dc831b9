"""When a message was received: as the middleware says, however late a node comes to look."""

from __future__ import annotations

import time

import pytest
import rclpy
from harness import free_domain, wait_for
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray

from vdd_ros.bag import Topic
from vdd_ros.nodes.hosting import make_executor
from vdd_ros.nodes.messages import clock_message
from vdd_ros.nodes.raw_streams import Information, listen_to, origin_of
from vdd_ros.nodes.receive_clock import FAR_NS, ReceiveClock
from vdd_ros.publisher_numbers import PublisherNumbers

SECOND = 1_000_000_000
COMMANDS = Topic("commands", "std_msgs/msg/Float64MultiArray", has_header=False)


class Listener:
    """A node that comes to look when it is told to, and who publishes what it hears."""

    def __init__(self, domain: int, simulated: bool, depth: int, executor):
        self.context = Context()
        words = ["--ros-args", "-p", f"use_sim_time:={str(simulated).lower()}"]
        rclpy.init(
            args=words,
            context=self.context,
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.node = Node("listener", context=self.context)
        self.clock_in = ReceiveClock(self.node)
        self.heard: list[tuple[int, Information]] = []
        listen_to(self.node, "robot_command", COMMANDS, depth, self._take)
        self._other = Node("publisher", context=self.context)
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self.publisher = self._other.create_publisher(Float64MultiArray, "commands", qos)
        self.clock = self._other.create_publisher(Clock, "/clock", qos)
        self._executor = executor(context=self.context)
        self._executor.add_node(self.node)
        wait_for(self.publisher.get_subscription_count, "the listener")

    def _take(self, name: str, data: bytes, information: Information) -> None:
        self.heard.append((self.clock_in.received_ns(name, information), information))

    def publish(self, count: int) -> None:
        """So many commands; they are all there on return."""
        for _ in range(count):
            self.publisher.publish(Float64MultiArray())
        assert self.publisher.wait_for_all_acked(Duration(seconds=30))

    def look(self, count: int) -> None:
        """Take what waits, until so many have been heard."""

        def enough() -> bool:
            self._executor.spin_once(0.05)
            return len(self.heard) >= count

        wait_for(enough, f"{count} messages")

    def close(self) -> None:
        self._executor.shutdown()
        for node in (self.node, self._other):
            node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def listening(monkeypatch):
    """Gives a Listener in a domain of its own."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    made = []
    with free_domain() as domain:

        def listen(simulated=False, depth=100, executor=make_executor) -> Listener:
            made.append(Listener(domain, simulated, depth, executor))
            return made[-1]

        yield listen
        for one in made:
            one.close()


@pytest.mark.parametrize("executor", [make_executor, SingleThreadedExecutor])
def test_a_message_is_received_when_it_came_and_not_when_somebody_looks(listening, executor):
    listener = listening(executor=executor)
    before_ns = time.time_ns()
    listener.publish(10)
    looked_ns = time.time_ns()
    listener.look(10)
    received = [received_ns for received_ns, _ in listener.heard]
    assert received == sorted(received)
    assert before_ns < received[0] and received[-1] < looked_ns
    assert received == [one["received_timestamp"] for _, one in listener.heard]


def test_in_simulated_time_it_is_received_by_the_simulation_s_clock(listening):
    listener = listening(simulated=True)
    wait_for(listener.clock.get_subscription_count, "who wants the time")

    def told() -> bool:
        listener.clock.publish(clock_message(5 * SECOND))
        listener._executor.spin_once(0.05)
        return listener.clock_in.now_ns() == 5 * SECOND

    wait_for(told, "the clock")
    listener.publish(3)
    listener.look(3)
    assert [received_ns for received_ns, _ in listener.heard] == [5 * SECOND] * 3
    assert not listener.clock_in.is_before(5 * SECOND, 5 * SECOND)


def test_messages_that_a_full_queue_forgot_are_missing_by_their_numbers(listening):
    listener = listening(depth=5)
    listener.publish(1)
    listener.look(1)
    listener.publish(20)
    listener.look(6)
    numbers = PublisherNumbers()
    for _, information in listener.heard:
        if (origin := origin_of(information)) is not None:
            numbers.note("robot_command", origin)
    assert numbers.missing == {"robot_command": 15}


def test_what_no_system_clock_can_have_shown_is_not_believed(listening):
    clock = listening().clock_in

    def received(at_ns: int) -> int:
        return clock.received_ns("x", {"received_timestamp": at_ns})

    def is_now(at_ns: int, since_ns: int) -> bool:
        return since_ns <= at_ns <= time.time_ns()

    before_ns = time.time_ns()
    for nonsense in (0, None, 12 * SECOND, before_ns - 2 * FAR_NS, before_ns + 2 * FAR_NS):
        assert is_now(received(nonsense), before_ns)
    assert is_now(clock.received_ns("x", {}), before_ns)

    earlier_ns = before_ns - 2 * SECOND
    assert received(earlier_ns) == earlier_ns
    assert received(earlier_ns - SECOND) == earlier_ns, "it had to wait for the one before"
    ahead_ns = before_ns + 60 * SECOND
    assert received(ahead_ns) == ahead_ns, "what the clock showed, before it was set back"
    assert received(earlier_ns) == earlier_ns, "and what it showed after"
    assert clock.is_before(earlier_ns, before_ns)
    assert not clock.is_before(earlier_ns, ahead_ns), "a start that is yet to come"
