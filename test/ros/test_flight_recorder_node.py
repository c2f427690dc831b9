"""flight_recorder_node beside action_node, both as processes: what is left of the end of a run."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from harness import Observer, free_domain, node_command, running, running_node, wait_for
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from mcap.reader import make_reader
from rclpy.serialization import deserialize_message
from robots import HOME, Robot, lossless_contract, steady_bundle
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

from vdd_ros.bag import read_bag
from vdd_ros.command_gate import PRECEDENCE, StopReason
from vdd_ros.contract import Contract
from vdd_ros.flight_recorder import AFTERMATH_NS, SILENT_NS
from vdd_ros.nodes.decision_messages import decisions_of
from vdd_ros.nodes.messages import message_class


@pytest.fixture(scope="module")
def lossless(folder, contract_path) -> Contract:
    """Of an arm so slow that it is still on its way when it is stopped."""
    lossless_contract(folder / "contract.yaml", contract_path)
    raw = yaml.safe_load((folder / "contract.yaml").read_text())
    for joint in raw["joints"]:
        joint["velocity"] = 0.1
    (folder / "contract.yaml").write_text(yaml.safe_dump(raw))
    return Contract.from_yaml(folder / "contract.yaml")


@pytest.fixture(scope="module")
def parameters(folder, lossless) -> dict:
    bundle = steady_bundle(folder / "bundle", lossless, HOME + 1.0)
    return {"contract": folder / "contract.yaml", "bundle": bundle, "autostart": True}


@pytest.fixture(scope="module")
def flights(domain, folder, lossless):
    """Where the recorder saves."""
    settings = {"contract": folder / "contract.yaml", "directory": folder / "flights"}
    with running_node("flight_recorder_node", domain, settings):
        yield folder / "flights"


@pytest.fixture
def watched(flights, observer):
    """Call it to wait until the recorder has heard that a run goes on."""
    heard = observer.listen(DiagnosticArray, "/diagnostics")

    def says_so() -> bool:
        last = [one for one in heard if one.status[0].name == "flight_recorder_node"][-1:]
        return any(item.value == "goes on" for one in last for item in one.status[0].values)

    return lambda: wait_for(says_so, "a run that is watched")


@pytest.fixture(scope="module")
def robot(observer, lossless):
    with Robot(observer, lossless) as robot:
        yield robot


def saved(flights: Path, reason: str) -> Path:
    """The flight that was saved for a reason."""
    wait_for(lambda: list(flights.glob(f"2*_{reason}")), f"a flight for {reason}")
    (found,) = flights.glob(f"2*_{reason}")
    return found


def positions(flight: Path, stream: str, contract) -> np.ndarray:
    """(N, Da) as they stand in the file."""
    found = read_bag(flight / f"{flight.name}_0.mcap")
    assert found.damage is None and found.contract == contract
    kind = message_class(contract.streams[stream].type)
    messages = [deserialize_message(m.data, kind) for m in found.messages if m.stream == stream]
    return np.array([m.data if hasattr(m, "data") else m.position for m in messages])


def decisions(flight: Path) -> dict[str, np.ndarray]:
    """All that stand in the file, one after another."""
    with (flight / f"{flight.name}_0.mcap").open("rb") as file:
        found = make_reader(file).iter_messages(topics=["/action_node/decisions"])
        messages = [deserialize_message(one.data, Float64MultiArray) for _, _, one in found]
    told = [decisions_of(message) for message in messages]
    return {name: np.concatenate([one[name] for one in told]) for name in told[0]}


def test_an_e_stop_leaves_what_led_to_it_and_how_the_arm_came_to_rest(
    domain, parameters, flights, robot, observer, watched
):
    press = observer.node.create_publisher(Bool, robot.contract.e_stop_topic, 10)
    robot.position = HOME
    with running_node("action_node", domain, parameters):
        robot.wait_for_commands(50)
        wait_for(lambda: press.get_subscription_count() >= 2, "ears for the e-stop")
        watched()
        press.publish(Bool(data=True))
        robot.wait_for_rest()
        flight = saved(flights, "e-stop")
    sent = positions(flight, "robot_command", robot.contract)
    np.testing.assert_array_equal(sent[-1], sent[-2])
    np.testing.assert_array_equal(sent[-1], robot.commands[-1])
    assert len(sent) >= 50 and len(positions(flight, "policy_command", robot.contract)) > 40
    assert len(positions(flight, "joint_state", robot.contract)) > 50
    decided = decisions(flight)
    count = int(decided["sent"].sum())
    assert abs(count - len(sent)) <= 1  # the recorder may have met one publisher a tick earlier
    braked = np.isfinite(decided["reason"])
    assert (decided["reason"][braked] == list(StopReason).index(StopReason.E_STOP)).all()
    assert braked[-1] and np.isnan(decided["source"][braked]).all()
    followed = (decided["sent"] == 1.0) & ~braked
    assert (decided["source"][followed] == PRECEDENCE.index("policy")).all()
    assert (np.diff(decided["tick_s"] * 1e9 + decided["tick_ns"]) > 0).all()
    said = (flight / "metadata.yaml").read_text()
    for topic in ("/action_node/policy_state", "/e_stop", "/diagnostics"):
        assert f"name: {topic}" in said
    press.publish(Bool(data=False))


def test_a_node_that_is_killed_leaves_its_last_seconds(domain, parameters, flights, robot, watched):
    robot.position = HOME
    robot.commands.clear()
    with running(node_command("action_node", parameters), domain) as node:
        robot.wait_for_commands(100)
        watched()
        assert node.end(signal.SIGKILL) == -signal.SIGKILL
    flight = saved(flights, "policy-state-silent")
    sent = positions(flight, "robot_command", robot.contract)
    np.testing.assert_array_equal(sent[-1], robot.commands[-1])


def test_a_run_that_is_ended_and_a_node_that_is_leave_nothing(
    domain, parameters, flights, robot, observer
):
    before = set(flights.glob("2*"))
    robot.position = HOME
    with running_node("action_node", domain, parameters):
        robot.wait_for_commands(20)
        assert change(observer, Transition.TRANSITION_DEACTIVATE)
        robot.wait_for_rest()
        assert change(observer, Transition.TRANSITION_ACTIVATE)
        robot.wait_for_commands(20)
    time.sleep((SILENT_NS + AFTERMATH_NS) * 1e-9 + 1.0)
    assert set(flights.glob("2*")) == before
    assert observer.call(Trigger, "/flight_recorder_node/save").success
    (asked,) = set(flights.glob("2*")) - before
    assert asked.name.endswith("_asked-for")


def test_what_is_no_state_of_a_run_is_kept_and_ends_nothing(flights, observer):
    states = observer.publisher(DiagnosticArray, "/action_node/policy_state")
    for values in ({}, {"ticks": "9" * 5000, "stop_reason": "../.."}, {"ticks": "-"}):
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        states.publish(DiagnosticArray(status=[DiagnosticStatus(values=pairs)]))
    before = set(flights.glob("*_asked-for*"))
    assert observer.call(Trigger, "/flight_recorder_node/save").success
    assert len(set(flights.glob("*_asked-for*")) - before) == 1


def test_a_recorder_that_is_ended_saves_what_it_still_waits_with(
    domain, parameters, folder, robot, observer
):
    settings = {"contract": folder / "contract.yaml", "directory": folder / "ended"}
    robot.position = HOME
    states = observer.listen(DiagnosticArray, "/action_node/policy_state")
    with (
        running_node("flight_recorder_node", domain, settings) as recorder,
        running_node("action_node", domain, parameters),
    ):
        robot.wait_for_commands(50)
        robot.mute = True
        wait_for(lambda: states and "OBSERVATION_STALE" in str(states[-1]), "a stop")
        time.sleep(0.3)  # three more states: the recorder has heard of it, and waits
        assert recorder.end() == 0
    robot.mute = False
    assert list((folder / "ended").glob("2*_observation-stale"))


def test_a_recorder_is_no_robot(folder, lossless, parameters):
    """Whose commands only a recorder hears does not begin."""
    settings = {"contract": folder / "contract.yaml", "directory": folder / "no_robot"}
    with (
        free_domain() as domain,
        Observer(domain) as observer,
        running_node("flight_recorder_node", domain, settings),
        running_node("action_node", domain, parameters),
    ):
        states = observer.listen(DiagnosticArray, "/action_node/policy_state")
        wait_for(lambda: len(states) > 20, "two seconds of a run")
        assert {state.status[0].message for state in states} == {
            "waiting: no robot listens to commands"
        }
        with Robot(observer, lossless) as robot:
            robot.wait_for_commands(20)


def change(observer, transition: int) -> bool:
    """Ask the action node for a transition; whether it was made."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return observer.call(ChangeState, "/action_node/change_state", request).success
