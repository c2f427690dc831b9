"""command_gate's promises over real ROS."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import Observer, free_domain, running_node, wait_for
from operators import Operator
from robots import HOME, Robot
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import clock_message, joint_state_message, qos_of

AWAY = HOME + 0.4


class Gate:
    """The node under test, the robot behind it and those who speak to it."""

    def __init__(self, process, observer, robot, teleop, policy):
        self.process, self.observer, self.robot = process, observer, robot
        self.teleop, self.policy = teleop, policy
        self.health = observer.listen(DiagnosticArray, "/diagnostics")
        self.e_stop = observer.publisher(Bool, robot.contract.e_stop_topic)

    def reset(self) -> bool:
        return self.observer.call(Trigger, "/command_gate/reset").success

    def wait_for_reason(self, name: str) -> None:
        self.wait_for_word("stop_reason", name)

    def wait_for_word(self, key: str, word: str) -> None:
        def said():
            values = self.health[-1].status[0].values if self.health else ()
            return word in [value.value for value in values if value.key == key]

        wait_for(said, word, 10.0)

    def wait_until_at(self, goal: np.ndarray) -> None:
        wait_for(
            lambda: np.abs(self.robot.position - goal).max() < 1e-6, f"the way to {goal}", 20.0
        )


@pytest.fixture(scope="module")
def running_gate(domain, folder, lossless, observer):
    with (
        Robot(observer, lossless) as robot,
        Operator(observer, lossless, "teleop_command") as teleop,
        Operator(observer, lossless, "policy_command") as policy,
        running_node("command_gate", domain, {"contract": folder / "contract.yaml"}) as process,
    ):
        yield Gate(process, observer, robot, teleop, policy)


@pytest.fixture
def gate(running_gate):
    """Nobody speaks, nothing is pressed, the robot is at HOME and in order."""
    gate = running_gate
    gate.teleop.target = gate.policy.target = None
    gate.teleop.off_ns = 0
    gate.e_stop.publish(Bool(data=False))
    gate.robot.mute, gate.robot.lost_joint = False, None
    gate.robot.wait_for_silence()
    gate.robot.position = HOME
    wait_for(gate.reset, "a gate at rest", 5.0)
    gate.robot.commands.clear()
    gate.health.clear()  # what was said before is of another test
    return gate


def test_nothing_is_sent_before_the_joints_are_known(gate):
    gate.robot.lost_joint = "panda_joint2"
    gate.robot.wait_for_states(200)  # longer than joint states are good for
    gate.teleop.target = AWAY
    gate.robot.assert_silence()
    gate.robot.lost_joint = None
    gate.robot.wait_for_commands(20)
    gate.robot.assert_safe(HOME)


def test_targets_are_followed_within_limits_and_one_publisher_speaks(gate):
    gate.teleop.target = AWAY
    gate.wait_until_at(AWAY)
    gate.teleop.target = np.full(7, 50.0)
    gate.robot.wait_for_commands(50)
    gate.robot.assert_safe(HOME)
    topic = gate.robot.contract.streams["robot_command"].topic
    (publisher,) = gate.observer.node.get_publishers_info_by_topic(topic)
    assert publisher.qos_profile.lifespan.nanoseconds == 40_000_000  # four periods


def test_teleop_goes_before_the_policy_which_gets_the_arm_back_only_on_request(gate):
    gate.policy.target = AWAY
    gate.wait_until_at(AWAY)
    gate.teleop.target = HOME
    gate.wait_until_at(HOME)
    gate.teleop.target = None
    gate.robot.wait_for_rest()
    gate.wait_for_reason("SOURCE_SILENT")
    gate.robot.assert_silence()
    gate.wait_for_word("policy_waits_for_reset", "True")
    wait_for(gate.reset, "a reset", 5.0)
    gate.wait_until_at(AWAY)
    gate.robot.assert_safe(HOME)


def test_a_leader_that_cannot_be_followed_stops_a_policy_and_is_told_why(gate):
    gate.policy.target = AWAY
    gate.robot.wait_for_commands(20)
    gate.teleop.off_ns, gate.teleop.target = -3_000_000_000, HOME
    gate.robot.wait_for_rest()
    gate.wait_for_reason("LEADER_UNUSABLE")
    assert "teleop: stamped 3.0" in gate.health[-1].status[0].message
    gate.robot.assert_silence()
    gate.robot.assert_safe(HOME)


def test_a_source_that_falls_silent_ends_in_rest_and_silence(gate):
    gate.teleop.target = np.full(7, 50.0)
    gate.robot.wait_for_commands(30)
    gate.teleop.target = None
    gate.robot.wait_for_rest()
    gate.robot.assert_safe(HOME)
    gate.wait_for_reason("SOURCE_SILENT")


def test_stale_joint_states_end_in_rest_and_silence(gate):
    gate.teleop.target = np.full(7, 50.0)
    gate.robot.wait_for_commands(30)
    gate.robot.mute = True
    gate.robot.wait_for_rest()
    gate.robot.assert_safe(HOME)
    gate.wait_for_reason("JOINTS_STALE")


def test_a_target_that_is_not_finite_ends_in_rest_until_reset(gate):
    gate.teleop.target = AWAY
    gate.robot.wait_for_commands(20)
    gate.teleop.target = AWAY * np.nan
    gate.robot.wait_for_rest()
    gate.robot.assert_safe(HOME)
    gate.wait_for_reason("NOT_FINITE")
    gate.teleop.target = AWAY
    gate.robot.assert_silence()


def test_the_e_stop_holds_until_reset(gate):
    gate.teleop.target = np.full(7, 50.0)
    gate.robot.wait_for_commands(30)
    gate.e_stop.publish(Bool(data=True))
    gate.robot.wait_for_rest()
    gate.robot.assert_safe(HOME)
    gate.wait_for_reason("E_STOP")
    assert not gate.reset()
    gate.e_stop.publish(Bool(data=False))
    gate.robot.assert_silence()
    gate.robot.commands.clear()
    begin = gate.robot.position
    wait_for(gate.reset, "a reset", 5.0)
    gate.robot.wait_for_commands(20)
    gate.robot.assert_safe(begin)


def test_it_ends_at_rest_and_leaves_no_publisher(gate):
    gate.teleop.target = np.full(7, 50.0)
    gate.robot.wait_for_commands(30)
    assert gate.process.end() == 0
    gate.robot.wait_for_rest()
    gate.robot.assert_safe(HOME)
    topic = gate.robot.contract.streams["robot_command"].topic
    wait_for(lambda: gate.observer.node.count_publishers(topic) == 0, "a graph without it", 5.0)
    assert "Traceback" not in gate.process.output
    assert "terminate called" not in gate.process.output


class SimulatedTime:
    """A simulator in lockstep: /clock, then the joints, then the operator's target, in bursts."""

    def __init__(self, observer: Observer, robot: Robot):
        contract = robot.contract
        state, teleop = (contract.streams[name] for name in ("joint_state", "teleop_command"))
        self.robot, self.names = robot, contract.joint_names
        self.period_ns = contract.control_period_ns
        self.now_ns = 10**9
        self.ticks = 0
        self.clock = observer.publisher(Clock, "/clock")
        self.joints = observer.publisher(JointState, state.topic, qos_of(state))
        self.teleop = observer.publisher(JointState, teleop.topic)

    def tick(self, target: np.ndarray | None = None) -> None:
        self.now_ns += self.period_ns
        self.ticks += 1
        self.clock.publish(clock_message(self.now_ns))
        self.joints.publish(joint_state_message(self.names, self.robot.position, self.now_ns))
        if target is not None:
            self.teleop.publish(joint_state_message(self.names, target, self.now_ns))

    def begin(self, target: np.ndarray) -> None:
        """Until the first answer, and the last one that is still on its way."""

        def answered():
            self.tick(target)
            return self.robot.commands

        wait_for(answered, "the first command")
        self.robot.wait_for_silence()

    def pass_by_until_silence(self) -> None:
        """Nobody says anything, until 40 periods have brought no command."""
        quiet, count = 0, len(self.robot.commands)

        def silent():
            nonlocal quiet, count
            self.tick()
            quiet = quiet + 1 if len(self.robot.commands) == count else 0
            count = len(self.robot.commands)
            return quiet == 40

        wait_for(silent, "silence in simulated time", 20.0)

    def answered(self, target: np.ndarray) -> None:
        """One tick, and the command that answers it."""
        before = len(self.robot.commands)
        self.tick(target)
        wait_for(lambda: len(self.robot.commands) > before, "the answer", 5.0)


def test_in_simulated_time_each_target_is_answered_at_once_and_no_other_time_passes(
    folder, lossless
):
    parameters = {"contract": folder / "contract.yaml", "use_sim_time": True}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, lossless) as robot,
        running_node("command_gate", domain, parameters),
    ):
        robot.mute = True
        simulated = SimulatedTime(observer, robot)
        simulated.begin(AWAY)
        while np.abs(robot.position - AWAY).max() > 1e-9:
            simulated.answered(AWAY)
        for _ in range(15):
            simulated.answered(HOME)
        robot.assert_silence()  # however long the operator takes, while the clock stands still
        count, began_ns = len(robot.commands), simulated.now_ns
        simulated.pass_by_until_silence()
        np.testing.assert_array_equal(robot.commands[-1], robot.commands[-2])
        robot.assert_safe(HOME)
        assert len(robot.commands) <= simulated.ticks, "one for each period at most"
        assert len(robot.commands) > count + 10, "the watchdog follows on, then brakes"
        patience_s = lossless.streams["teleop_command"].max_age_s
        assert patience_s <= (simulated.now_ns - began_ns) / 1e9 <= patience_s + 2.0


def test_limits_of_jerk_are_kept_and_it_is_said(folder, lossless):
    raw = lossless.to_dict()
    for joint in raw["joints"]:
        joint["jerk"] = 100.0
    path, contract = folder / "jerk.yaml", Contract.from_dict(raw)
    path.write_text(yaml.safe_dump(raw))
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        Robot(observer, contract) as robot,
        Operator(observer, contract, "teleop_command") as teleop,
        running_node("command_gate", domain, {"contract": path}) as process,
    ):
        gate = Gate(process, observer, robot, teleop, None)
        teleop.target = AWAY
        gate.wait_until_at(AWAY)
        robot.assert_safe(HOME)
        gate.wait_for_word("limits", "position velocity acceleration jerk")
