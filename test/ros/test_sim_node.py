"""sim_node keeps a robot's promises on a robot's topics, in real and in simulated time."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import CONTRACT_PATH, Observer, free_domain, running_node, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import fields_of, latched_qos, message_class, qos_of, stamp_ns_of
from vdd_ros.nodes.sim_node import Way
from vdd_ros.nodes.wire import Encoder

CONTRACT = Contract.from_yaml(CONTRACT_PATH)
STATE_NS = 5_000_000
STATES_QOS = qos_of(CONTRACT.streams["joint_state"], depth=1000)
LONG_S = "600.0"  # longer than any test: time stands until it is answered


class Bench:
    """What the tests hear of a sim_node, and how they command it."""

    def __init__(self, observer: Observer, contract: Contract = CONTRACT):
        self.observer = observer
        command = contract.streams["robot_command"]
        self.states = observer.listen(JointState, "/joint_states", STATES_QOS)
        self.clocks = observer.listen(Clock, "/clock")
        kind = message_class(command.type)
        self.commands = observer.publisher(kind, command.topic, qos_of(command))
        wait_for(lambda: self.states and self.clocks, "a joint state and a clock")

    def position(self) -> np.ndarray:
        return fields_of(self.states[-1], CONTRACT)["position"]

    def stamps(self) -> np.ndarray:
        return np.array([stamp_ns_of(message) for message in list(self.states)])

    def send(self, target) -> None:
        self.commands.publish(Float64MultiArray(data=list(target)))

    def next_states(self, count: int) -> None:
        wanted = len(self.states) + count
        wait_for(lambda: len(self.states) >= wanted, f"{count} joint states")

    def reset(self) -> str:
        response = self.observer.call(Trigger, "/sim_node/reset")
        assert response.success
        self.next_states(2)  # one may have been on its way
        return response.message


def running_sim(domain, **parameters):
    return running_node("sim_node", domain, {"contract": CONTRACT_PATH} | parameters)


@pytest.fixture
def domain():
    with free_domain() as number:
        yield number


def test_simulated_time_begins_at_one_second_and_clock_and_stamps_agree(domain):
    with Observer(domain) as observer:
        states = observer.listen(JointState, "/joint_states", STATES_QOS)
        clocks = observer.listen(Clock, "/clock")
        with running_sim(domain, time_base="sim"):
            wait_for(lambda: len(states) > 100 and len(clocks) > 100, "states and clocks")
    stamps = np.array([stamp_ns_of(message) for message in states])
    times = np.array([c.clock.sec * 10**9 + c.clock.nanosec for c in clocks])
    assert stamps[0] >= 10**9
    assert stamps[0] < 10 * 10**9
    assert (np.diff(stamps) % STATE_NS == 0).all()
    assert (np.diff(stamps) > 0).all()
    assert len(np.intersect1d(stamps, times)) > 90
    assert set(states[0].name) == set(CONTRACT.joint_names)
    assert len(states[0].velocity) == 7


def test_what_is_delayed_is_told_later_with_the_stamp_that_it_has(domain):
    delay_ns = 50_000_000
    with Observer(domain) as observer:
        states = observer.listen(JointState, "/joint_states", STATES_QOS)
        clocks = observer.listen(Clock, "/clock")
        with running_sim(domain, time_base="sim", observation_delay_s=delay_ns / 1e9):
            wait_for(lambda: len(states) > 100 and len(clocks) > 100, "states and clocks")
    stamps = np.array([stamp_ns_of(message) for message in states])
    times = np.array([c.clock.sec * 10**9 + c.clock.nanosec for c in clocks])
    assert (np.diff(stamps) % STATE_NS == 0).all() and (np.diff(stamps) > 0).all()
    assert times.max() - stamps.max() >= delay_ns - STATE_NS  # a clock may get lost


def test_real_time_carries_system_stamps(domain):
    with running_sim(domain), Observer(domain) as observer:
        bench = Bench(observer)
        bench.next_states(50)
        assert abs(stamp_ns_of(bench.states[-1]) - time.time_ns()) < 10 * 10**9
        assert (np.diff(bench.stamps()) > 0).all()
        assert (np.diff(bench.stamps()) % STATE_NS == 0).all()


def test_the_last_command_is_held_and_a_reset_brings_the_arm_back(domain):
    with running_sim(domain, seed=4) as node, Observer(domain) as observer:
        bench = Bench(observer)
        start = bench.position()
        target = start + 0.05
        bench.send(target)
        wait_for(lambda: np.abs(bench.position() - target).max() < 0.005, "the arm at its target")
        bench.next_states(50)
        assert np.abs(bench.position() - target).max() < 0.005
        assert "seed 5" in bench.reset()
        assert np.abs(bench.position() - start).max() < 0.005
        bench.next_states(50)
        assert np.abs(bench.position() - start).max() < 0.005
        assert (np.diff(bench.stamps()) > 0).all()
        assert node.end() == 0


def test_a_trajectory_is_gone_to_its_last_point_until_it_is_due(domain, tmp_path):
    raw = CONTRACT.to_dict()
    kind = "trajectory_msgs/msg/JointTrajectory"
    topic = "/joint_trajectory_controller/joint_trajectory"
    raw["streams"]["robot_command"] |= {"type": kind, "topic": topic, "timeline": "header"}
    contract = Contract.from_dict(raw, "test contract")
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(raw))
    stream = contract.streams["robot_command"]
    with (
        running_sim(domain, contract=tmp_path / "contract.yaml"),
        Observer(domain) as observer,
    ):
        bench = Bench(observer, contract)
        target = bench.position() + 0.05
        encoder = Encoder(stream, contract)
        bench.commands.publish(encoder.encode(target, time.time_ns()))
        wait_for(lambda: np.abs(bench.position() - target).max() < 0.005, "the arm at its target")
        bench.next_states(50)
        assert np.abs(bench.position() - target).max() < 0.005


def test_the_way_between_two_targets_is_even():
    way = Way(np.zeros(2), 10, np.array([1.0, -2.0]), 30)
    np.testing.assert_allclose(way.at(15), [0.25, -0.5])
    np.testing.assert_array_equal(way.at(30), way.at(99))
    at_once = Way(np.zeros(2), 10, np.ones(2), 10)
    np.testing.assert_array_equal(at_once.at(15), np.ones(2))


def test_what_is_not_a_command_is_refused_and_told(domain):
    with running_sim(domain), Observer(domain) as observer:
        bench = Bench(observer)
        start = bench.position()
        health = observer.listen(DiagnosticArray, "/diagnostics")
        bench.send([0.0] * 6)
        bench.send([float("nan")] * 7)

        def refused() -> bool:
            values = {pair.key: pair.value for m in list(health) for pair in m.status[0].values}
            return values.get("refused_commands") == "2"

        wait_for(refused, "diagnostics of two refused commands")
        assert np.abs(bench.position() - start).max() < 0.005


def test_in_lockstep_each_command_buys_one_control_period(domain):
    with (
        running_sim(domain, time_base="sim", lockstep_timeout_s=LONG_S),
        Observer(domain) as observer,
    ):
        bench = Bench(observer)
        start = bench.position()
        bench.send(start)
        wait_for(lambda: stands_still(bench), "time to stand")
        for _ in range(5):
            before = bench.stamps()[-1]
            bench.send(start)
            wait_for(lambda now=before: bench.stamps()[-1] >= now + 2 * STATE_NS, "the next tick")
            assert stands_still(bench)
            assert bench.stamps()[-1] == before + CONTRACT.control_period_ns
            assert bench.stamps()[-1] % CONTRACT.control_period_ns == 0
        bench.observer.call(Trigger, "/sim_node/reset")
        bench.next_states(20)  # nobody drives any more: time goes on


def stands_still(bench: Bench) -> bool:
    """No joint state for as long as forty would take."""
    count = len(bench.states)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        if len(bench.states) > count:
            return False
        time.sleep(0.01)
    return True


def test_an_episode_is_decided_once_and_whoever_comes_late_still_hears_it(domain):
    with running_sim(domain, step_limit_s=0.3, seed=8), Observer(domain) as early:
        verdicts = early.listen(Bool, "/sim_node/success", latched_qos())
        bench = Bench(early)
        wait_for(lambda: verdicts, "a verdict")
        with Observer(domain) as late:
            told = late.listen(String, "/sim_node/episode", latched_qos())
            wait_for(lambda: told, "the latched episode")
        episode = json.loads(told[0].data)
        assert 0 < episode.pop("decided_ns") < time.time_ns()
        assert episode == {
            "success": False,
            "reason": "undecided after 0.3 s",
            "way": None,
            "done": 0,
            "seconds": 0.3,
            "seed": 8,
        }
        bench.next_states(100)
        assert [verdict.data for verdict in verdicts] == [False]
        bench.reset()
        wait_for(lambda: len(verdicts) == 2, "the next episode's verdict")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"task": "juggle"}, "unknown task 'juggle'"),
        ({"time_base": "sideways"}, "choose one of ['wall', 'sim']"),
        ({"contract": "/nowhere.yaml"}, "no contract at /nowhere.yaml"),
    ],
)
def test_bad_settings_end_in_one_sentence(domain, parameters, said):
    with running_sim(domain, **parameters) as node:
        assert node.wait() == 2
        assert said in node.output.splitlines()[-1]
        assert "Traceback" not in node.output


def test_a_contract_of_another_arm_is_refused(domain, tmp_path):
    raw = yaml.safe_load(CONTRACT_PATH.read_text())
    raw["joints"][0]["name"] = "elbow"
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(raw))
    raw["joints"][0]["name"] = "panda_joint1"
    raw["streams"]["joint_state"]["rate_hz"] = 333.0
    (tmp_path / "fast.yaml").write_text(yaml.safe_dump(raw))
    for name, said in (("other", "are not those of the simulated arm"), ("fast", "333 Hz")):
        with running_sim(domain, contract=tmp_path / f"{name}.yaml") as node:
            assert node.wait() == 2
            assert said in node.output
