"""Measured latency is allowed for: plans are read ahead, and late stamps count as earlier."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from pictures import contract_with, end_of, recorded
from recordings import CONTRACT, ROOT, SECOND, record
from test_action_loop import HOME, MS, Bench

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.ahead import ahead_of
from vdd_ros.calibration.excitation import excitation
from vdd_ros.calibration.latency import Measured, joint_latency
from vdd_ros.calibration.planted_timing import planted_latency
from vdd_ros.calibration.recordings import keep
from vdd_ros.calibration_file import calibrated
from vdd_ros.contract import Contract
from vdd_ros.datasets.frame_pictures import newest_numbers
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyOutput
from vdd_ros.lag import Signal, find_lag
from vdd_ros.policies.windows import windows_of
from vdd_ros.replay import replay_windows
from vdd_ros.sim.delay import Delays
from vdd_ros.sim.rollout import drive, wire

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
JOINTS = CONTRACT.joint_names


def late_by(contract: Contract, command_s=None, stamp_s=None) -> Contract:
    raw = contract.to_dict()
    return Contract.from_dict(
        raw | {"latency": {"command_s": command_s or {}, "stamp_s": stamp_s or {}}}
    )


def evenly(seconds: float) -> dict[str, float]:
    return dict.fromkeys(JOINTS, seconds)


class Running(Bench):
    """A loop that reads its plans ahead."""

    def __init__(self, contract, ahead):
        super().__init__(contract)
        rule = ActingRule(expert="argmax", replan_ticks=20)
        rng = np.random.default_rng(0)
        self.loop = ActionLoop(contract, self.policy, rule, rng, lambda: 0.0, ahead=ahead)
        self.loop.start(self.now)


def test_what_both_robots_need_is_in_the_demonstrations_already():
    taught = late_by(CONTRACT, evenly(0.05))
    assert ahead_of(taught, taught) is None
    assert ahead_of(CONTRACT, taught) is None and ahead_of(taught, CONTRACT) is None
    faster = late_by(CONTRACT, evenly(0.02))
    assert ahead_of(faster, taught) is None
    slower = late_by(CONTRACT, evenly(0.08))
    assert ahead_of(slower, taught).shifts_ns == (30 * MS,)
    unknown = late_by(CONTRACT, {JOINTS[2]: 0.08})
    found = ahead_of(unknown, taught)
    assert found.shifts_ns == (0, 30 * MS) and found.joints[1].tolist() == [2]


def test_a_plan_is_read_ahead_by_each_joint_s_own_latency():
    """Steps are .1 s apart and rise by .02: after 15 ticks of 10 ms the plan stands at step 1.5."""
    late = evenly(0.09) | {JOINTS[6]: 0.17}
    ahead = ahead_of(late_by(CONTRACT, late), late_by(CONTRACT, evenly(0.05)))
    wish = Running(CONTRACT, ahead).run(16)[15].wish
    np.testing.assert_allclose(wish - HOME, 0.02 * (2.5 + np.array([0.4] * 6 + [1.2])))


def test_a_plan_that_does_not_reach_so_far_is_refused():
    ahead = ahead_of(late_by(CONTRACT, evenly(0.9)), late_by(CONTRACT, evenly(0.1)))
    with pytest.raises(UserError, match=r"0\.800 s later .* plans of 0\.400 s"):
        Running(CONTRACT, ahead)


def test_a_plan_that_is_read_to_its_end_is_made_anew_before():
    ahead = ahead_of(late_by(CONTRACT, evenly(0.25)), late_by(CONTRACT, evenly(0.0)))
    replanned = [one.replanned for one in Running(CONTRACT, ahead).run(20)]
    assert replanned.index(True, 1) == 15  # of 400 ms, 250 are read ahead


def test_a_run_shifts_by_what_was_measured(tmp_path):
    """From planted delays through the calibration's file to the command."""
    measured = []
    for late_s in (0.02, 0.06):
        planted = planted_latency(CONTRACT, np.random.default_rng(3))
        data = planted.recording.streams["joint_state"]
        shift_ns = round((late_s - planted.truth_s) * 1e9)
        moved = replace(data, stamps_ns=data.stamps_ns + shift_ns)
        streams = {**planted.recording.streams, "joint_state": moved}
        recording = planted.recording._replace(streams=streams)
        found = joint_latency(CONTRACT, [recording], planted.joint)
        assert found.seconds == pytest.approx(late_s, abs=1e-3)
        folder = tmp_path / f"{late_s}"
        keep(folder, CONTRACT, NOW, latency={found.name: found.section(NOW, [])})
        measured.append((found, calibrated(CONTRACT, folder)))
    (early, taught), (late, robot) = measured
    ahead = ahead_of(robot, taught)
    assert ahead.most_ns == pytest.approx((late.seconds - early.seconds) * 1e9, abs=2e3)
    wish = Running(CONTRACT, ahead).run(16)[15].wish
    step = 0.02 * (2.5 + ahead.most_ns / (100 * MS))
    assert wish[planted.joint] - HOME[planted.joint] == pytest.approx(step)
    assert step == pytest.approx(0.02 * 2.9, abs=0.02 * 0.02)


def test_a_calibration_of_another_robot_and_one_without_latencies(tmp_path):
    assert calibrated(CONTRACT, "") is CONTRACT
    foreign = Measured("elbow", ("a", "b"), 0.02, 0.019, 0.021, 1.0, 1)
    keep(tmp_path / "foreign", CONTRACT, NOW, latency={"elbow": foreign.section(NOW, [])})
    with pytest.raises(UserError, match="latencies of elbow, none of which the contract"):
        calibrated(CONTRACT, tmp_path / "foreign")
    keep(tmp_path / "none", CONTRACT, NOW)
    assert calibrated(CONTRACT, tmp_path / "none") is CONTRACT


def test_what_a_contract_calls_late_has_to_be_its_own():
    with pytest.raises(UserError, match="joint elbow of latency is not among the joints"):
        late_by(CONTRACT, {"elbow": 0.1})
    with pytest.raises(UserError, match="side of latency is not among streams and cameras"):
        late_by(CONTRACT, None, {"side": 0.1})
    late = late_by(CONTRACT, evenly(0.1), {"joint_state": 0.01})
    assert late.interface_hash == CONTRACT.interface_hash
    assert late.contract_hash != CONTRACT.contract_hash
    assert Contract.from_dict(late.to_dict()) == late
    assert "latency" not in CONTRACT.to_dict()


def test_late_stamps_count_as_earlier_in_training_as_live(tmp_path):
    """Windows of what was recorded with stamps known to be late are those of stamps in time."""
    late = late_by(CONTRACT, None, {"joint_state": 0.03})
    folders = tmp_path / "late", tmp_path / "as_is"
    for folder, contract in zip(folders, (late, CONTRACT), strict=True):
        record(folder, 1.0, contract)
    with_late, as_is = (EpisodeStore(folder).load("episode_0001") for folder in folders)
    state = as_is.streams["joint_state"]
    in_time = replace(state, stamps_ns=state.stamps_ns - 30 * MS)
    ticks = SECOND + 10 * MS * np.arange(10, 90)
    wanted = replay_windows(CONTRACT, {**as_is.streams, "joint_state": in_time}, ticks, 2)
    found = replay_windows(late, with_late.streams, ticks, 2)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.stamps_ns, other.stamps_ns)
    # episodes of both go together, each with the latencies that it was recorded with
    both = windows_of(CONTRACT, [with_late, as_is], 2, 4)
    alone = [windows_of(CONTRACT, [one], 2, 4) for one in (with_late, as_is)]
    np.testing.assert_array_equal(both.observations[: len(alone[0].observations)], alone[0][0])
    assert (alone[0].observations != alone[1].observations).any()


def test_pictures_with_late_stamps_stand_beside_earlier_joints(tmp_path):
    """A picture stamped 40 ms late is that of a tick 40 ms before."""
    seeing = contract_with()
    for name, contract in (("as_is", seeing), ("late", late_by(seeing, None, {"front": 0.04}))):
        recorded(contract, tmp_path / name).save(end_of(1.0))
    images = [
        EpisodeStore(tmp_path / name).load("episode_0001").images("front")
        for name in ("as_is", "late")
    ]
    assert (images[1].taken_ns == images[0].stamps_ns - 40 * MS).all()
    assert (images[1].stamps_ns == images[0].stamps_ns).all(), "what was recorded stays"
    ticks = images[0].received_ns[-1] + SECOND + np.zeros(1, np.int64)
    assert newest_numbers(images[1], ticks) == newest_numbers(images[0], ticks)


def test_a_contract_s_file_may_name_the_calibration(tmp_path):
    found = Measured(JOINTS[1], ("robot_command", "joint_state"), 0.03, 0.029, 0.031, 1.0, 1)
    path = tmp_path / "robot.yaml"
    path.write_text(f"extends: {ROOT}/config/panda_avoid.yaml\nlatency: calibration\n")
    (tmp_path / "calibration").mkdir()
    assert Contract.from_yaml(path) == CONTRACT, "so that it can be calibrated"
    at_once = found._replace(name=JOINTS[2], seconds=-1e-4, low_s=-3e-4, high_s=1e-4)
    sections = {one.name: one.section(NOW, []) for one in (found, at_once)}
    keep(tmp_path / "calibration", CONTRACT, NOW, latency=sections)
    assert Contract.from_yaml(path).latency.command_s == {JOINTS[1]: 0.03, JOINTS[2]: 0.0}


class Clocked:
    """A policy that plans a motion by how often it was asked: once a control tick."""

    n_obs_steps, horizon, n_experts, action_dim = 1, 20, 1, 7
    noise_shape = density = expert = None

    def __init__(self, contract: Contract, motion):
        self._motion, self._asked = motion, 0
        self._tick_s = contract.control_period_ns * 1e-9
        self._steps_s = np.arange(self.horizon) * contract.policy_period_ns * 1e-9

    def infer(self, window, noise=None) -> PolicyOutput:
        times_s = self._asked * self._tick_s + self._steps_s
        self._asked += 1
        columns = [np.interp(times_s, self._motion.times_s, one) for one in self._motion.targets.T]
        return PolicyOutput(np.zeros(1), np.stack(columns, axis=-1)[None])


def test_a_simulated_arm_whose_commands_are_late_moves_as_one_whose_are_not(env):
    """60 ms late as it was measured; read ahead by that, it is in time again."""
    late_s, joint = 0.06, 6
    taught, robot = (late_by(CONTRACT, evenly(seconds)) for seconds in (0.02, 0.02 + late_s))
    wiring, moved = wire(CONTRACT, "avoid"), []
    for delay_s, ahead in ((0.0, None), (late_s, None), (late_s, ahead_of(robot, taught))):
        env.reset(0)
        pose = env.observe().position[wiring.from_arm]
        motion = excitation(CONTRACT, pose, (joint,), share=0.4, reach=0.3, seconds=7.0)
        rng = np.random.default_rng(0)
        loop = ActionLoop(
            CONTRACT, Clocked(CONTRACT, motion), ActingRule(), rng, lambda: 0.0, ahead=ahead
        )
        states = [
            (env.observe().stamp_ns * 1e-9, env.observe().position[wiring.from_arm][joint])
            for _ in drive(env, CONTRACT, loop, 0, [], Delays(0.0, delay_s))
        ]
        times_s, positions = np.array(states).T
        moved.append(Signal(times_s, positions[:, None]))
    in_time, late, ahead_of_it = moved
    assert find_lag(in_time, late, -0.2, 0.3).seconds == pytest.approx(late_s, abs=1e-3)
    assert find_lag(in_time, ahead_of_it, -0.2, 0.3).seconds == pytest.approx(0.0, abs=1e-3)
