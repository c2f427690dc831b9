"""teleop_node beside a real command_gate and a robot made of topics, at a real terminal as well."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from harness import (
    ROOT,
    Observer,
    environment,
    free_domain,
    node_command,
    running_node,
    wait_for,
)
from robots import HOME, Robot
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.kinematics import Kinematics
from vdd_ros.nodes.messages import fields_of, joint_state_message, qos_of, time_message
from vdd_ros.teleop.cartesian import LEAD_M

CONFIG = ROOT / "config"
FAR = HOME + np.array([0.8, -0.4, 0.5, -0.3, 0.6, 0.4, -0.5])
SOON_S = 30.0


class Device:
    """Says the same message at 100 Hz, stamped, while it has one."""

    def __init__(self, observer, kind: type, topic: str):
        self.message = None
        self._publisher = observer.node.create_publisher(kind, topic, 10)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._speak)

    def __enter__(self) -> Device:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _speak(self) -> None:
        while not self._ended.wait(0.01):
            if (message := self.message) is not None:
                message.header.stamp = time_message(time.time_ns())
                self._publisher.publish(message)


class Bench:
    """The robot, the gate before it, and what teleop_node says of itself."""

    def __init__(self, observer, robot: Robot):
        self.observer, self.robot = observer, robot
        self._health = observer.listen(DiagnosticArray, "/diagnostics")
        self.e_stop = observer.publisher(Bool, robot.contract.e_stop_topic)

    def says(self, text: str, name: str = "teleop_node") -> None:
        """Waits for it among what is told from now on."""
        begin = len(self._health)

        def said() -> bool:
            told = [m.status[0] for m in list(self._health)[begin:]]
            return any(text in str((s.message, s.values)) for s in told if s.name == name)

        wait_for(said, f"{text!r} of {name}", SOON_S)

    def wait_until_still(self) -> np.ndarray:
        """Until commands repeat themselves, while they go on; where that is."""

        def is_still() -> bool:
            self.robot.wait_for_commands(20)
            return not np.diff(self.robot.commands[-10:], axis=0).any()

        wait_for(is_still, "an arm that is held", SOON_S)
        return self.robot.position

    def assert_no_jump(self) -> None:
        """From HOME on, never faster than the velocity limits; the gate has tests of its others,
        from which it departs where a busy machine holds it up."""
        commands = np.array([HOME, *self.robot.commands])
        contract = self.robot.contract
        most = contract.limit("velocity") / contract.rates.control_hz
        assert len(commands) > 1 and (np.abs(np.diff(commands, axis=0)) <= most + 1e-9).all()

    def asks(self, name: str) -> Trigger.Response:
        return self.observer.call(Trigger, f"/teleop_node/{name}")

    def wait_for_arrival(self, goal: np.ndarray) -> None:
        near = lambda: np.abs(self.robot.position - goal).max() < 1e-3  # noqa: E731
        wait_for(near, f"the way to {goal}", SOON_S)


@pytest.fixture(scope="module")
def running_gate(domain, folder, lossless, observer):
    with (
        Robot(observer, lossless) as robot,
        running_node("command_gate", domain, {"contract": folder / "contract.yaml"}),
    ):
        yield Bench(observer, robot)


@pytest.fixture
def bench(running_gate) -> Bench:
    """The robot is at HOME and nobody leads it."""
    bench = running_gate
    bench.e_stop.publish(Bool(data=False))
    bench.robot.wait_for_silence()
    bench.robot.position = HOME
    reset = lambda: bench.observer.call(Trigger, "/command_gate/reset").success  # noqa: E731
    wait_for(reset, "a gate at rest", SOON_S)
    bench.robot.commands.clear()
    return bench


def device_file(folder, name: str, **changes):
    """A shipped device, patient with a busy machine."""
    raw = yaml.safe_load((CONFIG / "teleop" / f"{name}.yaml").read_text())
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(raw | {"timeout_s": 2.0} | changes))
    return path


@contextmanager
def teleop(domain, folder, name: str, remaps=None, **changes) -> Iterator:
    parameters = {
        "contract": folder / "contract.yaml",
        "device": device_file(folder, name, **changes),
        "kinematics": CONFIG / "kinematics" / "panda_tools.yaml",
    }
    with running_node("teleop_node", domain, parameters, remaps) as node:
        yield node
        assert node.end() == 0
        assert "Traceback" not in node.output


def leading(position: np.ndarray, contract: Contract) -> JointState:
    return joint_state_message(contract.joint_names, position, 0)


def test_a_leader_far_away_is_come_to_slowly_and_a_silent_one_ends_in_rest(
    domain, folder, bench, observer
):
    robot = bench.robot
    with (
        Device(observer, JointState, "leader/joint_states") as leader,
        teleop(domain, folder, "leader_panda", take_up={"speed": 0.3}),
    ):
        silent = lambda: "nothing comes from the device" in bench.asks("engage").message  # noqa: E731
        wait_for(silent, "a refusal", SOON_S)
        leader.message = leading(FAR, robot.contract)
        told = observer.listen(JointState, robot.contract.streams["teleop_command"].topic)
        bench.says("idle")
        robot.assert_silence()
        wait_for(lambda: bench.asks("engage").success, "an engagement", SOON_S)
        bench.wait_for_arrival(FAR)
        bench.assert_no_jump()
        bench.says("following")
        targets = np.array([fields_of(one, robot.contract)["position"] for one in told])
        taken_up = np.abs(targets - FAR).max(1) > 0.02
        steps = np.abs(np.diff(targets, axis=0))[taken_up[1:]]
        stream = robot.contract.streams["teleop_command"]
        # at most two periods are made up for, where the machine is late
        most = 0.3 * robot.contract.limit("velocity") * 2.0 / stream.rate_hz
        assert (steps <= most + 1e-9).all() and (np.abs(targets[0] - HOME) <= most + 1e-9).all()
        leader.message = leading(HOME, robot.contract)  # a leap, which is taken up anew
        bench.wait_for_arrival(HOME)
        bench.assert_no_jump()
        leader.message = None
        robot.wait_for_rest()
        bench.says("the device is silent")
        bench.says("nothing comes on leader/joint_states")
        leader.message = leading(FAR, robot.contract)
        robot.assert_silence()


def test_an_open_clutch_holds_the_follower_and_a_policy_has_it_on_request_once_it_is_let_go(
    domain, folder, bench, observer
):
    robot, stream = bench.robot, bench.robot.contract.streams["policy_command"]
    with (
        Device(observer, JointState, "leader/joint_states") as leader,
        Device(observer, JointState, stream.topic) as policy,
        teleop(domain, folder, "leader_panda", follow="relative"),
    ):
        leader.message = leading(FAR, robot.contract)
        wait_for(lambda: bench.asks("engage").success, "an engagement", SOON_S)
        leader.message = leading(FAR + 0.1, robot.contract)
        bench.wait_for_arrival(HOME + 0.1)
        assert bench.asks("release").success
        leader.message = leading(FAR - 0.2, robot.contract)
        bench.says("the clutch is open")
        policy.message = leading(HOME, robot.contract)
        robot.wait_for_commands(40)
        np.testing.assert_allclose(robot.position, HOME + 0.1, atol=1e-3)
        wait_for(lambda: bench.asks("engage").success, "an engagement", SOON_S)
        leader.message = leading(FAR - 0.25, robot.contract)
        bench.wait_for_arrival(HOME + 0.05)
        assert bench.asks("let_go").success
        robot.wait_for_rest()
        robot.assert_silence()
        reset = partial(observer.call, Trigger, "/command_gate/reset")
        wait_for(lambda: reset().success, "a reset", SOON_S)
        bench.wait_for_arrival(HOME)
        bench.assert_no_jump()


def joy(buttons: tuple[int, ...] = (), **axes: float) -> Joy:
    told = {int(name.removeprefix("axis")): value for name, value in axes.items()}
    return Joy(
        axes=[float(told.get(number, 0.0)) for number in range(6)],
        buttons=[int(number in buttons) for number in range(21)],
    )


def tip_of(contract: Contract) -> Callable[[np.ndarray], np.ndarray]:
    """Where the rod's tip is [m], by the kinematics of the contract of poses."""
    kinematics = Kinematics(Contract.from_yaml(CONFIG / "panda_avoid_tool_pose.yaml"))
    return lambda joints: kinematics.forward(joints[None]).positions[0, 0]


def test_a_gamepad_moves_the_tool_while_its_button_is_held_and_broken_messages_nothing(
    domain, folder, bench, observer
):
    robot, tip = bench.robot, tip_of(bench.robot.contract)
    with Device(observer, Joy, "joy") as pad, teleop(domain, folder, "gamepad"):
        pad.message = joy(axis1=1.0)
        bench.says("idle")
        robot.assert_silence()  # the enable button is not held
        before = tip(robot.position)
        pad.message = joy((9,), axis1=-1.0)
        wait_for(lambda: before[0] - tip(robot.position)[0] > 0.05, "5 cm back", SOON_S)
        pad.message = joy(axis1=-1.0)
        bench.says("the clutch is open")
        held = bench.wait_until_still()
        way = tip(held) - before
        assert np.abs(way[1:]).max() < LEAD_M
        for broken, said in (
            (Joy(axes=[1.0] * 8, buttons=[1] * 21), "has 8 axes, and 6 are declared"),
            (joy((9,), axis1=float("nan")), "not finite"),
        ):
            pad.message = broken
            bench.says(said)
        robot.wait_for_rest()  # what is refused is as good as silence
        np.testing.assert_allclose(robot.position, held, atol=1e-9)
        pad.message = joy()
        bench.says("stopped")
        pad.message = joy((9,), axis1=1.0)
        wait_for(lambda: tip(robot.position)[0] - tip(held)[0] > 0.02, "the way back", SOON_S)
        bench.e_stop.publish(Bool(data=True))
        robot.wait_for_rest()
        bench.says("the e-stop was pressed")
        bench.assert_no_jump()


def test_one_that_was_killed_leads_nothing_by_itself_when_it_is_started_again(
    domain, folder, bench, observer
):
    robot, tip = bench.robot, tip_of(bench.robot.contract)
    idle = "'idle: nothing is sent'"  # and the pad is heard, or it would say so
    parameters = {
        "contract": folder / "contract.yaml",
        "device": device_file(folder, "gamepad"),
        "kinematics": CONFIG / "kinematics" / "panda_tools.yaml",
    }

    def lead(way: float, arrived: Callable[[], bool]) -> None:
        """With the button held; pressed anew where a busy machine ended that."""

        def is_there() -> bool:
            pad.message = joy()
            time.sleep(0.3)
            observer.call(Trigger, "/command_gate/reset")  # a stop is not forgotten by itself
            pad.message, end = joy((9,), axis1=way), time.monotonic() + 2.0
            wait_for(lambda: arrived() or time.monotonic() > end, "a while", SOON_S)
            return arrived()

        wait_for(is_there, "an arm that is led", 2.0 * SOON_S)

    with Device(observer, Joy, "joy") as pad:
        pad.message = joy()
        with running_node("teleop_node", domain, parameters) as node:
            bench.says(idle)
            before = tip(robot.position)
            lead(-1.0, lambda: before[0] - tip(robot.position)[0] > 0.02)
            assert node.end(signal.SIGKILL) == -9
        robot.wait_for_rest()
        with teleop(domain, folder, "gamepad"):  # the button is held all the while
            bench.says(idle)
            robot.assert_silence()
            pad.message = joy()
            bench.says(idle)
            robot.assert_silence()
            held = tip(robot.position)
            lead(1.0, lambda: tip(robot.position)[0] - held[0] > 0.02)
        bench.assert_no_jump()


def test_twists_in_the_tools_frame_and_in_one_that_nobody_knows(domain, folder, bench, observer):
    robot, tip = bench.robot, tip_of(bench.robot.contract)
    with (
        Device(observer, TwistStamped, "teleop/twist") as hand,
        teleop(domain, folder, "twist"),
    ):
        message = TwistStamped()
        message.twist.linear.z = 0.1
        message.header.frame_id = "camera"
        hand.message = message
        bench.says("is in frame 'camera'; tell it in panda_link0 or panda_rod_tip")
        robot.assert_silence()
        message.header.frame_id, message.twist.linear.z = "panda_rod_tip", 0.0
        bench.says("idle: nothing is sent'")
        before = tip(robot.position)
        message.twist.linear.z = -0.1
        wait_for(lambda: np.linalg.norm(tip(robot.position) - before) > 0.05, "5 cm", SOON_S)
        message.twist.linear.z = 0.0
        way = tip(bench.wait_until_still()) - before
        # along the tool's own axis, which it does not turn about
        kinematics = Kinematics(Contract.from_yaml(CONFIG / "panda_avoid_tool_pose.yaml"))
        axis = kinematics.forward(HOME[None]).rotations[0, 0][:, 2]
        np.testing.assert_allclose(way, -np.linalg.norm(way) * axis, atol=LEAD_M)
        hand.message = None
        robot.wait_for_rest()
        bench.assert_no_jump()


class Person:
    """At a terminal of their own, until they `leave`."""

    def __init__(self, terminal: int):
        self._terminal, self.screen = terminal, ""
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._left.is_set():
            if select.select([self._terminal], [], [], 0.05)[0]:
                self.screen += os.read(self._terminal, 4096).decode(errors="replace")

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def leave(self) -> None:
        """The line is cut."""
        if not self._left.is_set():
            self._left.set()
            self._thread.join()
            os.close(self._terminal)


def test_keys_of_a_terminal_move_the_tool(domain, folder, bench):
    robot, tip = bench.robot, tip_of(bench.robot.contract)
    raw = yaml.safe_load((CONFIG / "teleop" / "keyboard.yaml").read_text())
    (folder / "keyboard.yaml").write_text(yaml.safe_dump(raw))
    parameters = {
        "contract": folder / "contract.yaml",
        "device": folder / "keyboard.yaml",
        "kinematics": CONFIG / "kinematics" / "panda_tools.yaml",
    }
    ours, theirs = pty.openpty()
    command = node_command("teleop_node", parameters)
    process = subprocess.Popen(
        command, env=environment(domain), stdin=theirs, stdout=theirs, stderr=theirs
    )
    person = Person(ours)
    try:
        wait_for(lambda: "space: stop here and hold" in person.screen, "the keys", SOON_S)
        bench.says("idle")
        robot.assert_silence()
        before = tip(robot.position)

        def is_down() -> bool:
            person.press("f")
            return before[2] - tip(robot.position)[2] > 0.02

        wait_for(is_down, "2 cm down", SOON_S)
        bench.says("engaged")
        way = tip(bench.wait_until_still()) - before  # after the last pulse
        assert np.abs(way[:2]).max() < LEAD_M
        person.press("0")
        robot.wait_for_rest()
        bench.says("idle")
        bench.assert_no_jump()
        os.close(theirs)
        person.leave()
        assert process.wait(SOON_S) == 0, "nobody is at the other end any more"
    finally:
        print(person.screen)  # shown where a test fails
        person.leave()
        process.kill()
        process.wait()


REFUSED = {
    "a keyboard without a terminal": ("keyboard", {}, "in a terminal of its own"),
    "another source": (
        "gamepad",
        {"source": "leader"},
        "is for source joy, and leader is asked for",
    ),
}


@pytest.mark.parametrize(("name", "changes", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_work_ends_in_one_sentence(domain, folder, lossless, name, changes, said):
    parameters = {
        "contract": folder / "contract.yaml",
        "device": CONFIG / "teleop" / f"{name}.yaml",
        "kinematics": CONFIG / "kinematics" / "panda_tools.yaml",
    }
    with running_node("teleop_node", domain, parameters | changes) as node:
        assert node.wait() == 2
        assert said in node.output and "Traceback" not in node.output


def test_in_a_namespace_its_topics_are_there_and_it_is_no_robot(domain, folder, bench, observer):
    """For two arms; what teleop_node hears of commands is no reason for a gate to send any."""
    below = {"__ns": "/left"}
    count = observer.node.count_subscribers
    with (
        running_node("command_gate", domain, {"contract": folder / "contract.yaml"}, below),
        teleop(domain, folder, "leader_panda", below),
    ):
        sent = f"/left/{bench.robot.contract.streams['robot_command'].topic}"
        for topic in ("/left/leader/joint_states", sent):
            wait_for(lambda topic=topic: count(topic) == 1, f"a listener of {topic}")
        wait_for(lambda: count("/left/teleop/command") == 1, "the gate")
        publishers = observer.node.count_publishers
        wait_for(lambda: publishers("/left/teleop/command") == 1, "teleop_node")
        bench.says("waiting: no robot listens", "left/command_gate")
        bench.says("nothing comes on leader/joint_states", "left/teleop_node")


def test_any_topic_that_the_contract_names_leads_through_the_gate(observer, folder, lossless):
    """Another program's own topic and type, without teleop_node: only limits are the gate's."""
    raw = lossless.to_dict()
    raw["streams"]["teleop_command"] |= {
        "topic": "/glove/joint_targets",
        "type": "std_msgs/msg/Float64MultiArray",
        "timeline": "receive",
    }
    path, contract = folder / "glove.yaml", Contract.from_dict(raw)
    path.write_text(yaml.safe_dump(raw))
    with (
        free_domain() as domain,
        Observer(domain) as other,
        Robot(other, contract) as robot,
        running_node("command_gate", domain, {"contract": path}),
    ):
        stream = contract.streams["teleop_command"]
        glove = other.publisher(Float64MultiArray, stream.topic, qos_of(stream))

        def is_there() -> bool:
            glove.publish(Float64MultiArray(data=(HOME + 0.2).tolist()))
            return np.abs(robot.position - HOME - 0.2).max() < 1e-6

        wait_for(is_there, "the way of the glove", SOON_S)
        Bench(other, robot).assert_no_jump()
