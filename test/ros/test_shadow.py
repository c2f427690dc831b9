"""action_node in shadow: it says what it would do, beside somebody who drives."""

from __future__ import annotations

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import running_node, wait_for
from robots import HOME, Robot, steady_bundle
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from vdd_ros.nodes.messages import command_message, qos_of

TARGET = HOME + 1.0


@pytest.fixture(scope="module")
def parameters(folder, lossless) -> dict:
    bundle = steady_bundle(folder / "bundle", lossless, TARGET)
    shared = {"contract": folder / "contract.yaml", "bundle": bundle}
    return shared | {"autostart": True, "mode": "shadow"}


def test_a_shadow_says_everything_and_no_robot_hears_it(domain, parameters, lossless, observer):
    """Beside a leader and another publisher of robot commands, whom it does not mind."""
    streams = lossless.streams
    robot_topic, wish_topic = streams["robot_command"].topic, streams["policy_command"].topic
    ours = observer.listen(Float64MultiArray, f"/action_node/shadow/{robot_topic}")
    wishes = observer.listen(JointState, f"/action_node/shadow/{wish_topic}")
    heard = observer.listen(JointState, wish_topic)
    states = observer.listen(DiagnosticArray, "/action_node/policy_state")
    teleop = observer.node.create_publisher(
        JointState, streams["teleop_command"].topic, qos_of(streams["teleop_command"])
    )
    with Robot(observer, lossless) as robot, running_node("action_node", domain, parameters):
        robot.position = HOME
        wait_for(lambda: len(ours) > 50 and len(wishes) > 50, "what it would do")
        for _ in range(100):
            teleop.publish(
                command_message(streams["teleop_command"], lossless, HOME, time.time_ns())
            )
            time.sleep(0.01)
        wait_for(lambda: states[-1].status[0].message == "in shadow", "the state")
        assert observer.node.count_publishers(robot_topic) == 0
        assert observer.node.count_publishers(wish_topic) == 0
    assert robot.commands == [] and heard == []
    np.testing.assert_allclose(wishes[-1].position, TARGET)
    # within the limits as if it drove, and on although the arm stays where it is
    sent = np.array([message.data for message in ours])
    moves = np.abs(np.diff(sent, axis=0))
    velocity = lossless.limit("velocity") / lossless.rates.control_hz
    assert (moves <= velocity + 1e-9).all()
    np.testing.assert_allclose(sent[-1], TARGET, atol=1e-3)
    reasons = [
        item.value
        for state in states
        for item in state.status[0].values
        if item.key == "stop_reason"
    ]
    assert set(reasons[:-1]) == {""} and reasons[-1] == "DEACTIVATED"
