"""The simulated robot: what it promises to whoever drives it, whatever the task."""

import subprocess
import sys

import numpy as np
import pytest

from vdd_ros.errors import UserError
from vdd_ros.sim.demonstrators.panda_arm import PandaArm
from vdd_ros.sim.env import PHYSICS_STEP_NS, RobosuiteEnv
from vdd_ros.sim.tasks.avoid import Avoid


@pytest.fixture(scope="module")
def env():
    env = RobosuiteEnv()
    yield env
    env.close()


def test_reset_is_the_start_pose_at_rest_at_time_zero(env):
    env.apply(Avoid.start_q + 0.1)
    env.advance(0.5)
    env.reset(seed=1)
    reading = env.observe()
    assert reading.stamp_ns == 0
    assert np.array_equal(reading.position, Avoid.start_q)
    assert np.array_equal(reading.velocity, np.zeros(7))
    assert not env.status().finished and env.status().reason == "running"


def test_arm_holds_its_pose_until_told_otherwise(env):
    env.reset(seed=0)
    env.advance(1.0)
    assert np.abs(env.observe().position - Avoid.start_q).max() < 1e-3
    assert not env.status().finished


def test_stamps_count_simulated_time_exactly(env):
    env.reset(seed=0)
    stamps = []
    for _ in range(300):
        env.advance(0.005)
        stamps.append(env.observe().stamp_ns)
    assert stamps == [PHYSICS_STEP_NS * (i + 1) for i in range(300)]


def test_arm_follows_a_ramp_about_50_ms_late_and_quietly(env):
    env.reset(seed=0)
    speed, tick_s = 0.5, 0.01
    lags, velocities = [], []
    for i in range(100):
        away_from_the_field = np.array([-1, 0, 0, 0, 0, 0, -1])
        target = Avoid.start_q + speed * tick_s * (i + 1) * away_from_the_field
        env.apply(target)
        env.advance(tick_s)
        reading = env.observe()
        lags.append((reading.position - target)[[0, 6]] / speed)
        velocities.append(-reading.velocity[[0, 6]])
    assert np.min(lags[-30:]) >= 0.03 and np.max(lags[-30:]) <= 0.06
    assert np.abs(np.array(velocities[-30:]) - speed).max() < 0.05 * speed


def test_arm_reaches_a_step_without_overshoot(env):
    env.reset(seed=0)
    step = 0.01 * np.array([1, -1, 1, 1, -1, 1, 1])
    env.apply(Avoid.start_q + step)
    moved = []
    for _ in range(200):
        env.advance(0.005)
        moved.append((env.observe().position - Avoid.start_q) / step)
    assert np.abs(moved[-1] - 1).max() < 0.01
    assert np.max(moved) < 1.02


def test_tool_position_is_the_operators_forward_kinematics(env):
    env.reset(seed=0)
    env.apply(Avoid.start_q + 0.1)
    arm = PandaArm("RodGripper")
    for _ in range(20):
        env.advance(0.01)
        assert np.allclose(env.tool_position(), arm.tip(env.observe().position), atol=1e-6)


def test_seed_decides_the_reset_noise():
    env = RobosuiteEnv(reset_noise_rad=0.02)
    starts = []
    for seed in (5, 5, 6):
        env.reset(seed)
        starts.append(env.observe().position)
    env.close()
    assert np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])
    assert 0.001 < np.std(starts[0] - Avoid.start_q) < 0.06


def test_episode_ends_at_the_time_limit(env):
    env.reset(seed=0)
    env.advance(Avoid.time_limit_s - 0.005)
    assert not env.status().finished
    env.advance(0.005)
    assert env.status().finished and not env.status().success
    assert "not crossed after 10 s" in env.status().reason


@pytest.mark.parametrize("target", [np.zeros(6), np.full(7, np.nan), np.full((1, 7), 0.1)])
def test_target_must_be_seven_finite_numbers(env, target):
    with pytest.raises(ValueError, match="7 finite numbers"):
        env.apply(target)


@pytest.mark.parametrize("duration_s", [0.0, -0.01, 0.007])
def test_time_passes_in_whole_physics_steps(env, duration_s):
    with pytest.raises(ValueError, match="multiple of"):
        env.advance(duration_s)


def test_unknown_task_is_one_sentence():
    with pytest.raises(UserError, match="unknown task 'juggle': choose one of avoid"):
        RobosuiteEnv("juggle")


def test_robosuite_says_nothing():
    code = "from vdd_ros.sim.env import RobosuiteEnv; RobosuiteEnv().close()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_gripper_opens_and_closes_to_a_fraction():
    env = RobosuiteEnv("lift")
    assert env.joints[-1] == "panda_gripper"
    start = env.observe().position
    for fraction in (1.0, 0.5, 0.1):
        env.apply(np.append(start[:7], fraction))
        env.advance(2.0)
        reading = env.observe()
        # half a millimetre of friction in each finger, of 40
        assert reading.position[7] == pytest.approx(fraction, abs=0.06)
        assert abs(reading.velocity[7]) < 0.02  # it creeps
        assert np.abs(reading.position[:7] - start[:7]).max() < 2e-3
    env.close()


def test_a_scene_is_put_where_a_recording_began():
    env = RobosuiteEnv("lift")
    env.reset(seed=3)
    scene = env._env.sim.data.qpos.copy()
    scene[:7] += 0.05
    scene[9:11] += 0.1
    env.reset(seed=4, scene=scene)
    np.testing.assert_array_equal(env._env.sim.data.qpos, scene)
    np.testing.assert_array_equal(env.observe().position[:7], scene[:7])
    assert env.observe().stamp_ns == 0
    env.advance(0.5)
    assert np.abs(env.observe().position[:7] - scene[:7]).max() < 2e-3
    with pytest.raises(UserError, match="a scene of 5 numbers was given, this task's has 16"):
        env.reset(seed=4, scene=np.zeros(5))
    env.close()
