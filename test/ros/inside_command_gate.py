"""What command_gate watches by a clock that nobody sets: its ramp, ROS time, the robot, rivals.

The node runs in this process, so that its clock can be set. test_nodes_inside.py runs the tests one
by one.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from harness import wait_for
from hosted import hosted
from operators import Operator
from rclpy.clock import Clock, ClockType
from rclpy.time import Time
from robots import HOME, Robot
from std_srvs.srv import Trigger

from vdd_ros.command_gate import StopReason
from vdd_ros.nodes.command_gate import CommandGateNode
from vdd_ros.nodes.messages import message_class, qos_of

FAR = np.full(7, 50.0)
HOUR_NS = 3_600_000_000_000


class Gate:
    """The node, whose ROS clock can be set, a robot, and a leader that drives it."""

    def __init__(self, node, robot, leader, observer):
        self.node, self.robot, self.leader, self.observer = node, robot, leader, observer

    def set_clock(self, ahead_ns: int = 0, stands: bool = False) -> None:
        """As a system clock is set, or one of a simulator stands."""
        system = Clock(clock_type=ClockType.SYSTEM_TIME)
        begin_ns = system.now().nanoseconds

        def now() -> Time:
            return Time(nanoseconds=ahead_ns + (begin_ns if stands else system.now().nanoseconds))

        self.node.get_clock = lambda: SimpleNamespace(now=now)

    def lead(self) -> None:
        self.leader.target = FAR
        self.robot.wait_for_commands(30)

    def reset(self) -> Trigger.Response:
        return self.observer.call(Trigger, "/command_gate/reset")

    def assert_stops(self, reason: StopReason) -> None:
        """With a ramp to rest, until it is asked for more."""
        wait_for(lambda: self.node.gate.reason, reason, 10.0)
        assert self.node.gate.reason is reason, self.node._health()
        self.robot.wait_for_rest()
        self.robot.assert_safe(HOME)
        self.robot.assert_silence()


@pytest.fixture
def gate(domain, folder, lossless, observer):
    parameters = {"contract": folder / "contract.yaml"}
    with (
        hosted(CommandGateNode, domain, parameters) as node,
        Robot(observer, lossless) as robot,
        Operator(observer, lossless, "teleop_command") as leader,
    ):
        yield Gate(node, robot, leader, observer)


def remove_robots(observer, topic: str) -> None:
    """Nobody listens any more."""
    for subscription in list(observer.node.subscriptions):
        if subscription.topic_name == f"/{topic}":
            observer.node.destroy_subscription(subscription)


@pytest.mark.parametrize("ahead_ns", [-HOUR_NS, HOUR_NS])
def test_a_system_clock_that_is_set_is_a_stop_with_a_ramp(gate, ahead_ns):
    """Timers on a clock that was set back wait until it is as late again."""
    kinds = {timer.clock.clock_type for timer in gate.node.timers}
    assert kinds == {ClockType.STEADY_TIME}
    gate.lead()
    gate.set_clock(ahead_ns)
    gate.assert_stops(StopReason.CLOCK_BACK if ahead_ns < 0 else StopReason.CLOCK_AHEAD)


def test_a_clock_that_stands_is_a_stop_with_a_ramp(gate):
    gate.lead()
    gate.set_clock(stands=True)
    gate.assert_stops(StopReason.CLOCK_STILL)


def test_another_publisher_of_commands_is_a_stop_and_is_named_until_it_has_gone(gate):
    gate.lead()
    stream = gate.robot.contract.streams["robot_command"]
    rival = gate.observer.node.create_publisher(
        message_class(stream.type), stream.topic, qos_of(stream)
    )
    gate.assert_stops(StopReason.RIVAL)
    answer = gate.reset()
    assert not answer.success and "/observer publishes robot commands" in answer.message
    gate.observer.node.destroy_publisher(rival)
    wait_for(lambda: gate.reset().success, "a reset", 10.0)
    gate.robot.wait_for_commands(20)
    assert gate.node.gate.last_stop is StopReason.RIVAL


def test_a_robot_that_listens_no_more_is_a_stop_until_reset(gate):
    gate.lead()
    topic = gate.robot.contract.streams["robot_command"].topic
    remove_robots(gate.observer, topic)
    wait_for(lambda: gate.node.gate.reason is StopReason.ROBOT_GONE, "a stop", 10.0)
    wait_for(lambda: gate.node.gate.silent and gate.node.gate.locked, "rest", 10.0)
