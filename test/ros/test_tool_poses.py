"""action_node with a bundle of tool poses: planned beside the ticks, sent as joint positions."""

from __future__ import annotations

from pathlib import Path

import graphs
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import running_node, wait_for
from robots import HOME, Robot, lossless_contract

from vdd_ros.acting import ActingRule
from vdd_ros.action_space import action_space
from vdd_ros.bundle import write_bundle
from vdd_ros.contract import Contract

CONFIG = Path(__file__).resolve().parents[2] / "config"
H = 8
GOAL = HOME + [0.2, 0.1, -0.1, -0.2, 0.1, 0.1, 0.3]


@pytest.fixture
def contract(folder) -> Contract:
    whole = folder / "whole.yaml"
    shipped = Contract.from_yaml(CONFIG / "panda_avoid_tool_pose.yaml")
    whole.write_text(yaml.safe_dump(shipped.to_dict()))
    return lossless_contract(folder / "contract.yaml", whole)


def bundle(folder, contract, actions):
    return write_bundle(
        folder, name="pose", kind="mixture", contract=contract,
        rule=ActingRule(replan_ticks=5), n_obs_steps=2, horizon=H, n_experts=1,
        policy_onnx=graphs.mixture(np.zeros(1), actions[None]), normalizer={}, certificate={},
    ).folder  # fmt: skip


def test_the_tool_gets_to_the_pose_and_what_is_no_rotation_is_a_stop(
    domain, folder, contract, observer
):
    space = action_space(contract)
    actions = space.encode(np.tile(GOAL, (H, 1)), HOME)
    wanted = space.kinematics.forward(GOAL[None])
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "pose", contract, actions),
        "autostart": True,
    }
    with Robot(observer, contract) as robot:
        with running_node("action_node", domain, parameters) as node:

            def arrived():
                found = space.kinematics.forward(robot.position[None])
                return np.abs(found.positions - wanted.positions).max() < 1e-3

            wait_for(arrived, "the tool at its pose", 30.0)
            robot.assert_safe(HOME)
            assert "in a thread beside the ticks" in node.output
        actions[H // 2, 3:6] = 0.0
        parameters["bundle"] = bundle(folder / "broken", contract, actions)
        states = observer.listen(DiagnosticArray, "/action_node/policy_state")
        with running_node("action_node", domain, parameters):

            def stopped():
                values = {pair.key: pair.value for pair in states[-1].status[0].values}
                return values["stop_reason"] == "NO_ROTATION"

            wait_for(lambda: states and stopped(), "a stop", 30.0)
