"""An arm whose encoders count otherwise, behind the gate, goes where it is asked to in truth."""

from __future__ import annotations

import time

import numpy as np
import pytest
import yaml
from harness import CONTRACT_PATH, Observer, free_domain, running_node, wait_for
from sensor_msgs.msg import JointState

from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import joint_state_message, qos_of

PLAIN = Contract.from_yaml(CONTRACT_PATH)
SIGN = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0])
OFFSET = np.array([0.3, 0.2, -0.4, 0.1, 0.5, -0.2, 1.0])


@pytest.fixture
def domain():
    with free_domain() as number:
        yield number


def test_gate_and_simulated_arm_agree_about_encoders(domain, tmp_path, env):
    names = PLAIN.joint_names
    encoders = {
        n: {"sign": int(s), "offset": float(o)} for n, s, o in zip(names, SIGN, OFFSET, strict=True)
    }
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump({**PLAIN.to_dict(), "encoders": encoders}))
    start, target = env.observe().position, env.observe().position + 0.05
    states_qos = qos_of(PLAIN.streams["joint_state"], depth=100)
    with (
        Observer(domain) as observer,
        running_node("sim_node", domain, {"contract": path}),
        running_node("command_gate", domain, {"contract": path}),
    ):
        states = observer.listen(JointState, "/joint_states", states_qos)
        teleop = PLAIN.streams["teleop_command"]
        leader = observer.publisher(JointState, teleop.topic, qos_of(teleop))

        def joints() -> np.ndarray:
            """Where the arm is, by its encoders and what is known of them."""
            told = dict(zip(states[-1].name, states[-1].position, strict=True))
            return SIGN * np.array([told[name] for name in names]) + OFFSET

        def is_there() -> bool:
            leader.publish(joint_state_message(names, target, time.time_ns()))
            return np.abs(joints() - target).max() < 0.005

        wait_for(lambda: states, "a joint state")
        assert np.abs(joints() - start).max() < 0.005, (
            "its encoders count otherwise, it stands there"
        )
        wait_for(is_there, "the arm where it was asked to go")
