"""Two arms in one graph: one contract and one bundle, a namespace for each, or topics remapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import running_node, wait_for
from robots import HOME, Robot, steady_bundle
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract

TARGETS = {"left": HOME + 0.1, "right": HOME - 0.1}


@contextmanager
def arm(observer, domain, folder, contract: Contract, name: str, remaps: dict) -> Iterator[Robot]:
    """A robot with topics below its name, and an action_node that drives it to its target."""
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": steady_bundle(folder / name, contract, TARGETS[name]),
        "autostart": True,
        "home": "'" + " ".join(f"{value:g}" for value in HOME) + "'",
    }
    with (
        Robot(observer, _below(contract, name)) as robot,
        running_node("action_node", domain, parameters, remaps),
    ):
        yield robot


def _below(contract: Contract, name: str) -> Contract:
    raw = contract.to_dict()
    for stream in raw["streams"].values():
        stream["topic"] = f"/{name}/{stream['topic']}"
    return Contract.from_dict(raw)


@pytest.fixture
def arms(observer, domain, folder, lossless, request) -> Iterator[dict[str, Robot]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                arm(observer, domain, folder, lossless, name, request.param(lossless, name))
            )
            for name in TARGETS
        }


def namespaces(contract: Contract, name: str) -> dict[str, str]:
    return {"__ns": f"/{name}"}


def renamed(contract: Contract, name: str) -> dict[str, str]:
    """One node beside the other in the same namespace, each topic with a name of its own."""
    topics = [stream.topic for stream in contract.streams.values()]
    return {"__node": f"{name}_node"} | {topic: f"/{name}/{topic}" for topic in topics}


def is_at(robot: Robot, target: np.ndarray) -> bool:
    return bool(np.abs(robot.position - target).max() < 0.01)


def wait_for_goal(robot: Robot, target: np.ndarray) -> None:
    wait_for(lambda: is_at(robot, target), f"the arm at {target}")


@pytest.mark.parametrize("arms", [namespaces, renamed], indirect=True)
def test_each_arm_is_driven_by_its_own_node(arms, observer):
    for name, robot in arms.items():
        wait_for_goal(robot, TARGETS[name])
        robot.assert_safe(HOME)
        topic = robot.contract.streams["robot_command"].topic
        assert observer.node.count_publishers(topic) == 1


@pytest.mark.parametrize("arms", [namespaces], indirect=True)
def test_one_goes_home_and_one_e_stop_stops_both(arms, observer):
    told = observer.listen(DiagnosticArray, "/diagnostics")
    for name, robot in arms.items():
        wait_for_goal(robot, TARGETS[name])
    assert observer.call(Trigger, "/left/action_node/go_home").success
    wait_for_goal(arms["left"], HOME)
    assert is_at(arms["right"], TARGETS["right"])

    def reasons() -> dict[str, str]:
        return {
            message.status[0].name: pair.value
            for message in told
            for pair in message.status[0].values
            if pair.key == "stop_reason"
        }

    observer.hold_e_stop()
    wait_for(lambda: reasons().get("right/action_node") == "E_STOP", "the right arm's stop")
    for robot in arms.values():
        robot.wait_for_silence()
        robot.assert_safe(HOME)
    assert not observer.call(Trigger, "/left/action_node/go_home").success
