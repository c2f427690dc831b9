"""A small teacher and student of each kind of action: recorded, trained, exported, driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from two_arms import one_arm

from vdd_ros.bundle import Bundle
from vdd_ros.commands import export
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.distil import distil
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.sim.avoid_field import FIELD
from vdd_ros.sim.demonstrators import operator_of
from vdd_ros.sim.record import record
from vdd_ros.sim.rollout import rollout

WAY, EPISODES, ROLLOUTS = 13, 8, 4
TEACHER = TeacherConfig(width=128, blocks=2, octaves=2, rank=12, reference_degree=1)
STUDENT = StudentConfig(n_experts=2, width=96, blocks=1, octaves=2, bottleneck=8)
TRAINING = TrainingConfig(steps=1500, batch_size=128, learning_rate=2e-3)
RULE = export.RuleChanges(
    expert="argmax", agreement=0.0, blur=0.0, output="mean", draws=1, tail_nats=0.0, replan_ticks=5
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def episodes(env, tmp_path_factory) -> Path:
    """One way through the field, recorded with a contract of joint positions."""
    folder = tmp_path_factory.mktemp("episodes")
    contract = one_arm("absolute_position")
    recorder = DemoRecorder(contract, folder, "episode", "avoid")
    operator = operator_of("avoid", np.random.default_rng(0))
    list(record(env, contract, operator, recorder, [WAY] * EPISODES))
    return folder


@pytest.fixture(scope="module", params=["velocity", "tool_pose"])
def bundle(request, episodes, tmp_path_factory) -> Bundle:
    contract, folder = one_arm(request.param), tmp_path_factory.mktemp(request.param)
    store = EpisodeStore(episodes, contract)
    shown = [store.load(name) for name in store.list()]
    teacher = train_teacher(contract, shown, folder / "teacher", TEACHER, TRAINING, held_out=1)
    distil(teacher, folder / "student", "vdd", STUDENT, TRAINING)
    export.main(
        export.Args(folder / "student", folder / "bundle", teacher=folder / "teacher", rule=RULE)
    )
    return Bundle.load(folder / "bundle", contract)


def test_the_bundle_puts_out_what_its_contract_says(bundle):
    policy = bundle.open_policy()
    assert policy.action_dim == bundle.contract.action_dim
    assert (
        bundle.contract.action_dim
        == {"velocity": 7, "tool_pose": 9}[bundle.contract.action.meaning]
    )
    assert bundle.start.lower.shape == (7,)


def test_it_drives_the_way_it_was_shown(env, bundle):
    contract = bundle.contract
    found = [
        rollout(env, contract, bundle.open_policy(), bundle.rule, seed, context=seed)
        for seed in range(ROLLOUTS)
    ]
    told = [(one.success, one.way, one.reason) for one in found]
    assert all("stopped" not in reason for _, _, reason in told), told
    assert sum(success and way == WAY for success, way, _ in told) >= 3, told
    # and those that fail were on their way
    assert all(np.ptp(one.path[:, 1]) > 0.3 * (0.0 - FIELD.start_y) for one in found), told


def test_another_robot_s_meaning_refuses_the_bundle(bundle):
    from vdd_ros.errors import UserError

    with pytest.raises(UserError, match="differ in action"):
        Bundle.load(bundle.folder, one_arm("relative_position"))
