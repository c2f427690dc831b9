"""Over ROS: a policy that gets where nobody demonstrated is slowed, or stopped, and says why."""

from __future__ import annotations

import graphs
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import running_node, wait_for
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from robots import HOME, Robot

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import write_bundle
from vdd_ros.conformal import Threshold
from vdd_ros.mahalanobis import Clusters
from vdd_ros.ood_detector import OodDetector
from vdd_ros.safety import SafetyFilter

AWAY = np.array([0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
# Windows of two readings, .1 rad about HOME.
KNOWN = OodDetector(
    Clusters(np.tile(HOME, 2)[None], 10.0 * np.eye(14)[None]), 10, Threshold(4.0, 0.05, 19, 19)
)


def bundle(folder, contract, detector):
    return write_bundle(
        folder, name="away", kind="mixture", contract=contract, rule=ActingRule(), n_obs_steps=2,
        horizon=8, n_experts=2, policy_onnx=graphs.mixture(
            np.log([0.9, 0.1]), np.tile(HOME + AWAY, (2, 8, 1))
        ), normalizer={}, certificate={}, ood_detector=detector,
    ).folder  # fmt: skip


@pytest.fixture(scope="module")
def states(observer):
    return observer.listen(DiagnosticArray, "/action_node/policy_state")


@pytest.fixture
def started(domain, folder, lossless, observer, states):
    """Start the node with a reaction to what is out of distribution; the robot that it drives."""
    with Robot(observer, lossless) as robot:

        def start(reaction: str):
            states.clear()
            parameters = {
                "contract": folder / "contract.yaml",
                "bundle": bundle(folder / "away", lossless, KNOWN),
                "on_out_of_distribution": reaction,
                "autostart": True,
            }
            return running_node("action_node", domain, parameters)

        yield robot, start


def values(states) -> dict[str, str]:
    return {pair.key: pair.value for pair in states[-1].status[0].values}


def change(observer, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return observer.call(ChangeState, "/action_node/change_state", request).success


def test_hold_ends_at_rest_with_what_is_off_and_goes_on_only_when_asked(started, states, observer):
    robot, start = started
    with start("hold"):
        wait_for(
            lambda: states and values(states)["stop_reason"] == "OUT_OF_DISTRIBUTION",
            "a stop", 20.0,
        )  # fmt: skip
        robot.wait_for_rest()
        robot.assert_safe(HOME)
        off = robot.position - HOME
        assert 0.2 < off[0] < 0.8, "it got out of what is known, and no further"
        said = states[-1].status[0]
        assert said.level == b"\x01"
        assert "distance " in said.message and "joint_position panda_joint1 is" in said.message
        assert said.message.endswith("look at it, then activate anew to go on")
        robot.assert_silence()
        robot.position = HOME  # somebody brings it back
        assert change(observer, Transition.TRANSITION_DEACTIVATE)
        robot.commands.clear()
        robot.wait_for_states(5)
        assert change(observer, Transition.TRANSITION_ACTIVATE)
        robot.wait_for_commands(5)


def test_slow_goes_on_at_a_share_of_the_limits(started, states):
    robot, start = started
    with start("slow"):
        wait_for(lambda: states and values(states)["out_of_distribution"] == "True", "it", 20.0)
        robot.wait_for_commands(60)
        robot.assert_safe(HOME)
        moves = np.abs(np.diff(robot.commands[-30:], axis=0))
        limits = SafetyFilter(robot.contract)
        assert (moves <= 0.1 * limits.max_move + 1e-9).all() and moves.any()
        assert float(values(states)["ood_distance"]) > float(values(states)["ood_threshold"]) == 4.0
        assert states[-1].status[0].message.startswith("slowed, out of distribution: distance ")


def test_a_bundle_that_cannot_tell_is_refused_where_something_is_to_be_done(
    domain, folder, lossless
):
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": bundle(folder / "blind", lossless, None),
        "on_out_of_distribution": "hold",
        "autostart": True,
    }
    with running_node("action_node", domain, parameters) as process:
        assert process.wait() == 2
        said = "has no threshold of what is out of distribution"
        assert said in process.output and "Traceback" not in process.output
