"""JointControl against robosuite's own controller, in states that a moving arm gets into."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros.sim.env import ARM, RobosuiteEnv


@pytest.mark.parametrize("task", ["avoid", "lift"])
def test_torques_are_those_of_robosuite(task):
    env, rng = RobosuiteEnv(task), np.random.default_rng(0)
    robosuite, data = env.task, env.task.sim.data._data
    start = env.observe().position
    robosuite._pre_action(start)  # after a reset it looks at the arm from the second call on
    largest = 0.0
    for _ in range(20):
        target = start + rng.normal(0.0, 0.1, len(start)) * (np.arange(len(start)) < len(ARM))
        env.apply(target)
        env.advance(0.05)
        env._arm.follow(target[: len(ARM)])
        ours = data.ctrl[: len(ARM)].copy()
        robosuite._pre_action(target, policy_step=True)
        np.testing.assert_allclose(ours, data.ctrl[: len(ARM)], atol=1e-9)
        largest = max(largest, np.abs(ours).max())
    assert largest == 80.0  # some torques were at their limit
    env.close()
