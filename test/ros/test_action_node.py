"""action_node's promises over real ROS, with policies that ask for everything they should not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import graphs
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Observer, free_domain, running_node, wait_for
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robots import HOME, Robot
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import write_bundle
from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import latched_qos, message_class, qos_of
from vdd_ros.start_range import StartRange
from vdd_ros.stream import Aligner

K, H, DA = 2, 8, 7
FAR = np.array([100.0, -100.0])[:, None, None] * np.ones((K, H, DA))
# Drawn anew at every tick: mostly far beyond the upper limits, now and then beyond the lower ones.
HOSTILE = graphs.mixture(np.log([0.9, 0.1]), FAR)


def bundle(folder, contract, policy_onnx=HOSTILE, start=None):
    return write_bundle(
        folder, name=folder.name, kind="mixture", contract=contract,
        rule=ActingRule(sticky_bound=2.0), n_obs_steps=2, horizon=H, n_experts=K,
        policy_onnx=policy_onnx, normalizer={}, certificate={},
        start=start,
    ).folder  # fmt: skip


class Node:
    """The node under test and the robot it drives."""

    def __init__(self, observer: Observer, robot: Robot):
        self.observer = observer
        self.robot = robot
        self.contract = robot.contract
        self.states = observer.listen(DiagnosticArray, "/action_node/policy_state")
        self.health = observer.listen(DiagnosticArray, "/diagnostics")
        self.wishes = observer.listen(JointState, "/policy/command")
        self.e_stop = observer.node.create_publisher(Bool, self.contract.e_stop_topic, 10)

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.observer.call(ChangeState, "/action_node/change_state", request).success

    def state(self) -> int:
        return self.observer.call(GetState, "/action_node/get_state").current_state.id

    def activate(self) -> bool:
        return self.change(Transition.TRANSITION_ACTIVATE)

    def deactivate(self) -> bool:
        return self.change(Transition.TRANSITION_DEACTIVATE)

    def publishers(self) -> int:
        return self.observer.node.count_publishers(self.contract.streams["robot_command"].topic)

    def press(self, pressed: bool) -> None:
        wait_for(self.e_stop.get_subscription_count, "the node's ear for the e-stop")
        self.e_stop.publish(Bool(data=pressed))

    def ask_e_stop(self, pressed: bool) -> SetBool.Response:
        request = SetBool.Request(data=pressed)
        return self.observer.call(SetBool, "/action_node/e_stop", request)

    def word(self) -> str:
        """What the node says of itself."""
        said = [one for message in self.health for one in message.status]
        return next((one.message for one in reversed(said) if one.name == "action_node"), "")

    def values(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.states[-1].status[0].values}

    def wait_for_reason(self, name: str) -> None:
        wait_for(lambda: self.states and self.values()["stop_reason"] == name, name, 10.0)

    def reset(self) -> None:
        """Inactive, the robot at HOME and in order, nobody presses anything."""
        if self.state() == State.PRIMARY_STATE_UNCONFIGURED:
            assert self.change(Transition.TRANSITION_CONFIGURE)
        if self.state() == State.PRIMARY_STATE_ACTIVE:
            assert self.deactivate()
        self.press(False)
        self.robot.mute, self.robot.lost_joint, self.robot.position = False, None, HOME
        self.robot.commands.clear()
        self.states.clear()


@pytest.fixture(scope="module")
def unconfigured(domain, folder, lossless, observer):
    """A node that has just been started."""
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "hostile", lossless),
    }
    with running_node("action_node", domain, parameters), Robot(observer, lossless) as robot:
        yield Node(observer, robot)


@pytest.fixture
def node(unconfigured):
    unconfigured.reset()
    return unconfigured


def test_nothing_is_published_before_active(unconfigured):
    node = unconfigured
    assert node.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert node.publishers() == 0
    assert node.change(Transition.TRANSITION_CONFIGURE)
    node.robot.assert_silence()
    assert node.robot.commands == [] and node.wishes == [] and node.states == []


def test_commands_are_finite_within_limits_and_never_jump_whatever_the_policy_wants(node):
    assert node.activate()
    node.robot.wait_for_commands(200)
    node.robot.assert_safe(HOME)
    topic = node.contract.streams["robot_command"].topic
    (publisher,) = node.observer.node.get_publishers_info_by_topic(topic)
    assert publisher.qos_profile.lifespan.nanoseconds == 40_000_000  # four periods
    wait_for(lambda: len(node.wishes) > 100, "what the policy wanted")
    assert {float(np.abs(wish.position).min()) for wish in node.wishes} == {100.0}


def test_it_does_not_start_beside_another_who_drives_the_robot(node):
    stream = node.contract.streams["robot_command"]
    rival = node.observer.node.create_publisher(
        message_class(stream.type), stream.topic, qos_of(stream)
    )

    def refused():  # as soon as the node knows of the other
        return not node.activate() or not node.deactivate()

    wait_for(refused, "a refusal", 20.0)
    node.observer.node.destroy_publisher(rival)
    wait_for(node.activate, "an activation", 20.0)


def test_a_run_stops_when_another_joins_who_drives_the_robot(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    stream = node.contract.streams["robot_command"]
    rival = node.observer.node.create_publisher(
        message_class(stream.type), stream.topic, qos_of(stream)
    )
    node.wait_for_reason("RIVAL")
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
    assert "end it, then activate again" in node.values()["stop_detail"]
    node.observer.node.destroy_publisher(rival)


def test_what_goes_on_is_told_while_active(node):
    assert node.activate()
    wait_for(lambda: len(node.states) >= 3, "three states")
    values = node.values()
    assert values["gating_entropy"][:5] == f"{-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)):.3f}"
    assert values["expert"] in ("0", "1") and int(values["replans"]) > 0
    assert values["stop_reason"] == "" and values["log_likelihood"] == "None"
    assert float(values["lateness_p50_ms"]) <= float(values["lateness_max_ms"])
    assert int(values["deadline_misses"]) < int(values["ticks"])


def test_deactivating_brings_the_arm_to_rest_first(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    assert node.deactivate()
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
    node.robot.assert_silence()


def test_a_new_activation_starts_from_where_the_arm_is(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    assert node.deactivate()
    node.robot.wait_for_rest()
    elsewhere = HOME - 0.5
    node.robot.position = elsewhere
    node.robot.commands.clear()
    assert node.activate()
    node.robot.wait_for_commands(40)
    node.robot.assert_safe(elsewhere)


def test_stale_joint_states_end_in_rest_and_silence_at_the_last_command_sent(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    node.robot.mute = True
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)  # among other things: it was never sent back, nor to zeros
    node.wait_for_reason("OBSERVATION_STALE")
    node.robot.mute = False
    node.robot.assert_silence()


def test_without_a_joint_there_is_never_a_command(node):
    node.robot.lost_joint = "panda_joint5"
    assert node.activate()
    node.robot.assert_silence()
    assert node.robot.commands == []
    lacks = "lacks ['panda_joint5']"
    wait_for(lambda: lacks in node.states[-1].status[0].message, "its name in the state", 5.0)


def test_a_joint_that_goes_missing_ends_in_rest_and_is_the_reason(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    node.robot.lost_joint = "panda_joint5"
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
    node.wait_for_reason("JOINT_MISSING")


def test_the_e_stop_holds_until_it_is_let_go_and_the_node_activated_anew(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    node.press(True)
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
    node.wait_for_reason("E_STOP")
    assert node.deactivate()
    assert not node.activate()
    node.press(False)
    node.robot.assert_silence()
    node.robot.commands.clear()
    begin = node.robot.position
    wait_for(node.activate, "an activation")
    node.robot.wait_for_commands(20)
    node.robot.assert_safe(begin)


def test_a_press_from_before_the_node_listened_is_known_to_it(node):
    assert node.change(Transition.TRANSITION_CLEANUP)
    topic = node.contract.e_stop_topic
    button = node.observer.node.create_publisher(Bool, topic, latched_qos())
    button.publish(Bool(data=True))
    assert node.change(Transition.TRANSITION_CONFIGURE)
    wait_for(button.get_subscription_count, "the node's ear for the e-stop")
    node.robot.assert_silence()  # takes a while, in which the press arrives
    assert not node.activate()
    button.publish(Bool(data=False))
    wait_for(node.activate, "an activation")
    node.observer.node.destroy_publisher(button)


def test_a_press_is_not_forgotten_by_a_new_configuration(node):
    """Of a publisher that does not keep its last word for those who listen later."""
    node.press(True)
    wait_for(lambda: not node.activate() or not node.deactivate(), "a refusal", 10.0)
    assert node.change(Transition.TRANSITION_CLEANUP) and node.change(
        Transition.TRANSITION_CONFIGURE
    )
    assert not node.activate()
    wait_for(lambda: "e-stop is pressed" in node.word(), "the reason", 5.0)
    node.robot.assert_silence()
    node.press(False)
    wait_for(node.activate, "an activation")


def test_a_button_that_is_not_reliable_is_heard_and_another_does_not_let_go_for_it(node):
    topic = node.contract.e_stop_topic
    quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    button = node.observer.node.create_publisher(Bool, topic, quality)
    assert node.activate()
    node.robot.wait_for_commands(40)
    wait_for(button.get_subscription_count, "the node's ear for the e-stop")
    button.publish(Bool(data=True))
    node.wait_for_reason("E_STOP")
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
    node.press(False)
    assert node.deactivate() and not node.activate()
    answer = node.ask_e_stop(False)
    assert not answer.success and "still pressed by 1 on /e_stop" in answer.message
    node.observer.node.destroy_publisher(button)
    wait_for(lambda: node.ask_e_stop(False).success, "one that is gone to be forgotten", 10.0)
    wait_for(node.activate, "an activation")


def test_the_e_stop_can_be_pressed_by_a_service(node):
    assert node.activate()
    node.robot.wait_for_commands(40)
    assert node.ask_e_stop(True).success
    node.wait_for_reason("E_STOP")
    node.robot.wait_for_rest()
    assert node.deactivate() and not node.activate()
    assert node.ask_e_stop(False).success
    wait_for(node.activate, "an activation")


def test_a_second_node_of_the_same_name_does_not_drive(node, domain, folder):
    parameters = {"contract": folder / "contract.yaml", "bundle": folder / "hostile"}
    with running_node("action_node", domain, {**parameters, "autostart": True}) as second:

        def refused() -> bool:
            """Before it drives, or, where it heard of the other too late, by a stop."""
            late = node.states and node.values()["stop_reason"] == "RIVAL"
            return late or "publishes robot commands: end it" in second.output

        wait_for(refused, "its refusal")
        node.robot.wait_for_silence()


def test_a_node_that_starts_by_itself_does_not_while_the_e_stop_is_pressed(folder, lossless):
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "eager", lossless),
        "autostart": True,
    }
    with free_domain() as domain, Observer(domain) as observer, Robot(observer, lossless) as robot:
        button = observer.node.create_publisher(Bool, lossless.e_stop_topic, latched_qos())
        button.publish(Bool(data=True))
        with running_node("action_node", domain, parameters) as process:
            wait_for(lambda: "the e-stop is pressed" in process.output, "its refusal")
            robot.assert_silence()
            button.publish(Bool(data=False))
            wait_for(Node(observer, robot).activate, "an activation")
            robot.wait_for_commands(10)


def test_teleop_goes_before_the_policy(node):
    assert node.activate()
    node.robot.wait_for_commands(20)
    stream = node.contract.streams["teleop_command"]
    hand = node.observer.publisher(JointState, stream.topic)
    goal = HOME - 0.2
    message = JointState(name=list(node.contract.joint_names), position=goal.tolist())

    def there():
        message.header.stamp = node.observer.node.get_clock().now().to_msg()
        hand.publish(message)
        return np.abs(node.robot.position - goal).max() < 1e-6

    wait_for(there, "the operator's goal", 10.0)
    node.robot.wait_for_rest()
    node.wait_for_reason("SOURCE_SILENT")
    node.robot.assert_silence()  # the policy does not take the arm back by itself
    node.robot.assert_safe(HOME)


def test_a_publisher_of_another_qos_is_told(node):
    """Nothing of it arrives; the reason is on /diagnostics and not only in a log."""
    assert node.activate()
    stream = node.contract.streams["teleop_command"]
    assert stream.reliability == "reliable"
    other = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.observer.node.create_publisher(message_class(stream.type), stream.topic, other)

    def told():
        return node.states and "differs in reliability" in node.states[-1].status[0].message

    try:
        wait_for(told, "a word about QoS")
    finally:
        node.observer.node.destroy_publisher(publisher)
    wait_for(lambda: not told(), "no more of it once that publisher has gone")


def test_after_shutdown_no_command_publisher_is_left(node):
    assert node.activate()
    node.robot.wait_for_commands(20)
    assert node.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    wishes = node.observer.node.count_publishers  # an observer learns of their ends one by one
    wait_for(
        lambda: node.publishers() == wishes("/policy/command") == 0,
        "a graph without command publishers", 5.0,
    )  # fmt: skip
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)


def test_a_policy_that_turns_nan_is_braked_and_a_signal_ends_the_node(folder, lossless):
    graph = graphs.mixture(np.log([0.9, 0.1]), FAR, nan_above=0.3)
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "nan", lossless, graph),
        "autostart": True,
        "log_ticks": folder / "ticks.npz",
        "realtime_priority": 50,
    }
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, lossless) as robot,
        running_node("action_node", domain, parameters) as process,
    ):
        node = Node(observer, robot)
        robot.wait_for_commands(40)
        node.wait_for_reason("NOT_FINITE")
        robot.wait_for_rest()
        robot.assert_safe(HOME)
        assert process.end() == 0
        assert "terminate called" not in process.output
        assert "Traceback" not in process.output
    assert_replays_bit_for_bit(folder / "ticks.npz", lossless, np.array(robot.commands))


def test_planned_beside_the_ticks_it_is_as_safe(folder, lossless):
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "threaded", lossless),
        "autostart": True,
        "planning": "thread",
    }
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, lossless) as robot,
        running_node("action_node", domain, parameters) as process,
    ):
        robot.wait_for_commands(200)
        assert process.end() == 0
        robot.wait_for_rest()
        robot.assert_safe(HOME)
        assert "in a thread beside the ticks" in process.output


def test_a_run_begins_only_where_demonstrations_did(folder, lossless):
    """Elsewhere nothing is sent, and it says how far off the arm is; brought there, it begins."""
    start = StartRange(HOME - 0.1, HOME + 0.1)
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "start", lossless, start=start),
        "autostart": True,
    }
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, lossless) as robot,
    ):
        robot.position = HOME + 0.5
        with running_node("action_node", domain, parameters):
            node = Node(observer, robot)
            node.wait_for_reason("FAR_FROM_START")
            said = node.states[-1].status[0].message
            assert "demonstrations began between" in said and "bring the arm within 0.1" in said
            assert robot.commands == []
            assert node.deactivate()
            robot.position = HOME
            assert node.activate()
            robot.wait_for_commands(20)


@contextmanager
def running_alone(contract, parameters) -> Iterator[Node]:
    """A node with these parameters, and a robot, in a domain of their own."""
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, contract) as robot,
        running_node("action_node", domain, parameters),
    ):
        yield Node(observer, robot)


def test_it_goes_home_on_request_and_then_begins(folder, lossless):
    """Through the gate, and not before the node is active; the e-stop ends it like anything."""
    start = StartRange(HOME - 0.1, HOME + 0.1)
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "homing", lossless, start=start),
        "home_speed": 0.5,
    }
    begin = HOME + 0.4
    with running_alone(lossless, parameters) as node:
        robot, observer = node.robot, node.observer
        robot.position = begin
        assert node.change(Transition.TRANSITION_CONFIGURE)
        answer = observer.call(Trigger, "/action_node/go_home")
        assert not answer.success and "activate the node first" in answer.message
        assert node.activate()
        node.wait_for_reason("FAR_FROM_START")

        assert observer.call(Trigger, "/action_node/go_home").success
        robot.wait_for_commands(20)
        node.press(True)
        node.wait_for_reason("E_STOP")
        robot.wait_for_rest()
        assert not observer.call(Trigger, "/action_node/go_home").success
        node.press(False)

        def goes() -> bool:
            return observer.call(Trigger, "/action_node/go_home").success

        wait_for(goes, "the e-stop to be let go")
        wait_for(lambda: node.states[-1].status[0].message == "at home", "the arm at home", 30.0)
        robot.wait_for_rest()
        np.testing.assert_allclose(robot.position, HOME, atol=1e-6)
        robot.assert_safe(begin)
        assert node.deactivate() and node.activate()
        robot.wait_for_commands(20)


def test_on_the_way_home_an_arm_that_sags_is_not_let_down(folder, lossless):
    """Called while the policy drives: one movement ends, the next begins at its last command."""
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "sagging", lossless, start=StartRange(HOME - 0.1, HOME + 0.1)),
        "home_speed": 0.5,
    }
    with running_alone(lossless, parameters) as node:
        robot, observer = node.robot, node.observer
        robot.sag = 0.02
        assert node.change(Transition.TRANSITION_CONFIGURE) and node.activate()
        robot.wait_for_commands(30)
        for _ in range(2):  # and again, on the way
            assert observer.call(Trigger, "/action_node/go_home").success
            robot.wait_for_commands(10)
        wait_for(lambda: node.states[-1].status[0].message == "at home", "the arm at home", 30.0)
        robot.wait_for_rest()
        np.testing.assert_allclose(robot.position, HOME, atol=1e-6)
        robot.assert_safe(HOME - robot.sag)


def test_a_way_home_that_is_broken_off_does_not_end_at_home(folder, lossless):
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "broken_off", lossless, start=StartRange(HOME, HOME)),
    }
    with running_alone(lossless, parameters) as node:
        robot, observer = node.robot, node.observer
        robot.position = HOME + 0.5
        assert node.change(Transition.TRANSITION_CONFIGURE) and node.activate()
        node.wait_for_reason("FAR_FROM_START")
        assert observer.call(Trigger, "/action_node/go_home").success
        robot.wait_for_commands(10)
        assert node.deactivate()
        robot.wait_for_rest()

        def told() -> bool:
            return node.states[-1].status[0].message == "stopped on the way home"

        wait_for(told, "the last word of the way home")
        assert np.abs(robot.position - HOME).max() > 0.1


def assert_replays_bit_for_bit(path, contract, commands):
    """The log of a run gives its windows again, and holds the commands as they were received."""
    log = np.load(path)
    aligner, samples, count = Aligner(contract, 2), 0, len(log["joint_state.tick"])
    for tick, (tick_ns, window) in enumerate(zip(log["tick_ns"], log["window"], strict=True)):
        while samples < count and log["joint_state.tick"][samples] <= tick:
            fields = {"position": log["joint_state.position"][samples]}
            times = (log[f"joint_state.{name}"][samples] for name in ("stamp_ns", "received_ns"))
            aligner.add("joint_state", fields, *(int(time) for time in times))
            samples += 1
        if np.isfinite(window).all():
            np.testing.assert_array_equal(aligner.window(int(tick_ns)).values, window)
    sent = log["command"][np.isfinite(log["command"]).all(axis=1)]
    np.testing.assert_array_equal(sent, commands)


def foreign(folder, contract):
    raw = contract.to_dict()
    raw["joints"][0]["name"] = "ur_shoulder"
    return bundle(folder / "foreign", Contract.from_dict(raw))


def corrupt(folder, contract):
    return bundle(folder / "corrupt", contract, b"not a graph")


def missing(folder, contract):
    return folder / "nowhere"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (foreign, "was made for another interface"),
        (corrupt, "policy.onnx is not a usable ONNX model"),
        (missing, "nowhere/bundle.json is missing"),
    ],
)
def test_a_bundle_that_cannot_be_run_is_refused_in_one_sentence(
    domain, folder, lossless, make, said
):
    parameters = {"contract": folder / "contract.yaml", "bundle": make(folder, lossless)}
    with running_node("action_node", domain, {**parameters, "autostart": True}) as process:
        assert process.wait() == 2
        sentences = [line for line in process.output.splitlines() if said in line]
        assert sentences and "Traceback" not in process.output


def test_a_command_that_would_leave_after_its_tick_is_refused(domain, folder):
    parameters = {"contract": folder / "contract.yaml", "bundle": "nowhere", "autostart": True}
    with running_node("action_node", domain, {**parameters, "send_after": 1.0}) as process:
        assert process.wait() == 2
        assert "send_after is 1 s and a control tick" in process.output
