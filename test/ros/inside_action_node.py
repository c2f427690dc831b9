"""action_node in this process: what becomes of the arm where one of its threads hangs, and others
of its promises that ask for a hand inside. test_nodes_inside.py runs them one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from harness import Observer, free_domain, wait_for
from hosted import hosted
from lifecycle_msgs.msg import Transition
from rclpy.duration import Duration
from robots import HOME, Robot, steady_bundle
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from test_action_node import Node, bundle

from vdd_ros import control_thread
from vdd_ros.command_gate import StopReason
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyOutput
from vdd_ros.nodes import action_node
from vdd_ros.nodes.action_node import ActionNode
from vdd_ros.nodes.e_stop import DEPTH
from vdd_ros.nodes.messages import command_message, message_class, qos_of

# Words of an e-stop, and what an answer says of them.
PRESSES = pytest.mark.parametrize(
    ("words", "said"),
    [((True,), "is pressed"), ((True, False), "pressed meanwhile")],
    ids=["held", "short"],
)


@pytest.fixture(scope="module")
def parameters(folder, lossless) -> dict:
    """Of a policy that moves the arm by less than what still counts as held."""
    moved = steady_bundle(folder / "moved", lossless, HOME + 0.045)
    home = " ".join(map(str, HOME))
    return {
        "contract": folder / "contract.yaml",
        "bundle": moved,
        "home": f"'{home}'",
        "home_speed": 0.5,
    }


@contextmanager
def inside(lossless, parameters) -> Iterator[tuple[ActionNode, Node]]:
    """The node itself, configured, and what is seen of it from outside."""
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        hosted(ActionNode, domain, parameters) as node,
        Robot(observer, lossless) as robot,
    ):
        seen = Node(observer, robot)
        assert seen.change(Transition.TRANSITION_CONFIGURE)
        yield node, seen


@pytest.fixture
def wild(folder, lossless) -> dict:
    path = folder / "wild"
    if not path.exists():
        bundle(path, lossless)
    return {"contract": folder / "contract.yaml", "bundle": path}


def test_an_executor_that_hangs_is_a_stop(lossless, wild):
    """The e-stop, listeners and rivals are its business: nobody would hear them."""
    with inside(lossless, wild) as (node, seen):
        assert seen.activate()
        seen.robot.wait_for_commands(40)
        go_on = threading.Event()
        timer = node.create_timer(0.0, lambda: (timer.cancel(), go_on.wait(30.0)))
        try:
            seen.robot.wait_for_rest()
            assert node._parts.control.loop.reason is StopReason.EXECUTOR_HUNG
        finally:
            go_on.set()
        seen.wait_for_reason("EXECUTOR_HUNG")
        assert seen.deactivate() and seen.activate()
        seen.robot.wait_for_commands(20)


def test_a_control_thread_that_hangs_is_told_and_not_waited_for(lossless, wild, monkeypatch):
    monkeypatch.setattr(control_thread, "END_S", 0.0)
    with inside(lossless, wild) as (node, seen):
        assert seen.activate()
        seen.robot.wait_for_commands(40)
        policy, go_on = node._parts.control.loop.policy, threading.Event()
        infer = policy.infer

        def hang(*args):
            go_on.wait(60.0)
            return infer(*args)

        monkeypatch.setattr(policy, "infer", hang)
        try:
            seen.wait_for_reason("CONTROL_HUNG")
            status = seen.states[-1].status[0]
            assert status.level == status.ERROR and "the control thread hangs" in status.message
            assert seen.deactivate()
            wait_for(lambda: "start the node anew" in seen.word(), "word of it")
            seen.robot.assert_silence()
            assert not seen.activate()
        finally:
            go_on.set()
        monkeypatch.setattr(policy, "infer", infer)
        seen.robot.assert_silence()
        wait_for(lambda: not node._parts.control.running, "the end of the thread")
        assert seen.activate()
        seen.robot.wait_for_commands(20)


def test_one_that_goes_on_after_it_hung_stops(lossless, wild, monkeypatch):
    with inside(lossless, wild) as (node, seen):
        assert seen.activate()
        seen.robot.wait_for_commands(40)
        policy, go_on = node._parts.control.loop.policy, threading.Event()
        infer = policy.infer
        monkeypatch.setattr(policy, "infer", lambda *args: go_on.wait(60.0) and infer(*args))
        seen.wait_for_reason("CONTROL_HUNG")
        go_on.set()
        wait_for(lambda: node._parts.control.loop.reason, "a stop")
        assert node._parts.control.loop.reason in (StopReason.CONTROL_HUNG, StopReason.JOINTS_STALE)
        seen.robot.wait_for_rest()


def test_who_goes_home_again_goes_on_from_home(lossless, parameters):
    """Not from where the policy had brought the arm, though that is near."""
    with inside(lossless, parameters) as (_, seen):
        assert seen.activate()
        robot = seen.robot
        wait_for(lambda: np.allclose(robot.position, HOME + 0.045, atol=1e-4), "the policy's pose")
        for _ in range(2):
            before = len(robot.commands)
            seen.states.clear()
            assert seen.observer.call(Trigger, "/action_node/go_home").success
            robot.wait_for_commands(20)
            wait_for(
                lambda: seen.states and seen.states[-1].status[0].message == "at home",
                "its arrival",
            )
            robot.wait_for_rest()
        np.testing.assert_allclose(robot.position, HOME, atol=1e-6)
        assert np.abs(np.array(robot.commands[before:]) - HOME).max() < 1e-6


@PRESSES
def test_a_press_while_the_policy_comes_to_rest_keeps_the_arm_from_going_home(
    lossless, parameters, monkeypatch, words, said
):
    with inside(lossless, parameters) as (node, seen):
        assert seen.activate()
        seen.robot.wait_for_commands(20)
        topic = lossless.e_stop_topic
        button = seen.observer.publisher(Bool, topic)
        wait_for(lambda: button.get_subscription_count() >= 2, "every ear for the e-stop")
        control = node._parts.control
        stop = control.stop

        def press_meanwhile() -> bool:
            for word in words:
                button.publish(Bool(data=word))
            assert button.wait_for_all_acked(Duration(seconds=10.0))
            return stop()

        monkeypatch.setattr(control, "stop", press_meanwhile)
        answer = seen.observer.call(Trigger, "/action_node/go_home")
        assert not answer.success and said in answer.message
        seen.robot.wait_for_rest()
        seen.robot.assert_silence()


@PRESSES
def test_a_press_while_others_are_looked_for_keeps_the_node_from_becoming_active(
    lossless, wild, monkeypatch, words, said
):
    with inside(lossless, wild) as (node, seen):
        button = seen.observer.publisher(Bool, lossless.e_stop_topic)
        wait_for(lambda: button.get_subscription_count() >= 2, "every ear for the e-stop")
        look = node._e_stop.look

        def press_meanwhile() -> None:
            for word in words:
                button.publish(Bool(data=word))
            assert button.wait_for_all_acked(Duration(seconds=10.0))
            look()

        monkeypatch.setattr(node._e_stop, "look", press_meanwhile)
        assert not seen.activate() and said in node.fault
        monkeypatch.undo()
        button.publish(Bool(data=False))
        wait_for(lambda: not node._e_stop.pressed, "the release")
        assert seen.activate()
        seen.robot.wait_for_commands(20)


class Flood:
    """A subscription on which more has always come."""

    def __init__(self):
        self.handle, self.taken = self, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def take_message(self, kind, raw):
        self.taken += 1
        assert self.taken <= DEPTH, "it does not come back"
        return kind(data=False), {}


def test_a_flood_of_words_does_not_hold_up_who_looks_for_the_e_stop(
    lossless, parameters, monkeypatch
):
    with inside(lossless, parameters) as (node, _):
        listener, flood = node._e_stop, Flood()
        node.destroy_timer(listener._timer)  # here it is asked to look
        with monkeypatch.context() as patch:
            patch.setattr(listener, "_subscriptions", [flood])
            listener.look()
        assert flood.taken == DEPTH


def test_a_configuration_that_fails_late_leaves_nothing_in_the_graph(
    lossless, parameters, monkeypatch
):
    """A publisher left over would be a rival of the next activation."""
    with inside(lossless, parameters) as (_, seen):
        assert seen.change(Transition.TRANSITION_CLEANUP)

        def fail(*_):
            raise UserError("it does not know the way")

        monkeypatch.setattr(action_node, "GoHome", fail)
        assert not seen.change(Transition.TRANSITION_CONFIGURE)
        wait_for(lambda: seen.publishers() == 0, "an empty graph")
        monkeypatch.undo()
        assert seen.change(Transition.TRANSITION_CONFIGURE) and seen.activate()
        seen.robot.wait_for_commands(20)


def test_a_policy_that_fails_while_a_leader_drives_is_told_by_name(
    lossless, parameters, monkeypatch
):
    with inside(lossless, parameters) as (node, seen):
        assert seen.activate()
        seen.robot.wait_for_commands(20)
        stream = lossless.streams["teleop_command"]
        leader = seen.observer.publisher(message_class(stream.type), stream.topic, qos_of(stream))

        def lead() -> None:
            now_ns = seen.observer.node.get_clock().now().nanoseconds
            leader.publish(command_message(stream, lossless, HOME + 0.1, now_ns))

        timer = seen.observer.node.create_timer(0.02, lead)
        gate = node._parts.control.loop.gate
        wait_for(lambda: gate.source == "teleop", "the leader")
        broken = PolicyOutput(np.log([0.9, 0.1]), np.full((2, 8, 7), np.nan))
        monkeypatch.setattr(node._parts.control.loop.policy, "infer", lambda *_: broken)
        wait_for(lambda: seen.values()["policy_fault"] == "NOT_FINITE", "the fault")
        assert seen.values()["stop_reason"] == "" and gate.source == "teleop"
        seen.observer.node.destroy_timer(timer)
