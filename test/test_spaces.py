"""Spaces that chunks are compared in, beside the robot's own kinematics, numpy and differences."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recordings import record
from small_runs import distill, train, vdd, words

from vdd_ros import cli
from vdd_ros.action_space import action_space
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.kinematics import Kinematics
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.chunk_autoencoder import autoencoder_of
from vdd_ros.policies.guidance import with_scale
from vdd_ros.policies.map_errors import MapErrors
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.objectives.settings import METHODS
from vdd_ros.policies.runs import FewStepStudent, load_any_student, load_teacher, training_examples
from vdd_ros.policies.spaces import (
    METRES_A_RADIAN,
    Decoded,
    ToolSpace,
    compared_in_space,
    with_kinematics,
)
from vdd_ros.policies.tool_poses import ForwardKinematics, rotation_vector
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.teleop.cartesian import read_model

CONFIG = Path(__file__).resolve().parents[1] / "config"
HAND = Contract.from_yaml(CONFIG / "panda_hand.yaml")
MODEL = read_model(CONFIG / "kinematics" / "panda_tools.yaml")
RNG = np.random.default_rng(0)


def some_joints(count: int) -> np.ndarray:
    return RNG.uniform(HAND.limit("lower"), HAND.limit("upper"), (count, HAND.n_joints))


def kinematics() -> Kinematics:
    return Kinematics(with_kinematics(HAND, MODEL))


def of_hand(meaning: str) -> Contract:
    raw = HAND.to_dict()
    raw["action"]["meaning"] = meaning
    if meaning != "absolute_position":
        raw["action"]["absolute"] = ["panda_gripper"]
    return Contract.from_dict(raw)


def fitted(contract: Contract, degree: int) -> tuple[Normalizer, np.ndarray, np.ndarray]:
    observations = some_joints(80)[:, None] + 0.02 * RNG.standard_normal((80, 2, HAND.n_joints))
    walks = 0.05 * RNG.standard_normal((80, 4, HAND.n_joints)).cumsum(1)
    space = action_space(contract)
    pairs = zip(observations[:, -1:] + walks, observations[:, -1], strict=True)
    chunks = np.array([space.encode(targets, anchor) for targets, anchor in pairs])
    return Normalizer.fit(observations, chunks, 6, RNG, degree), observations, chunks


def test_poses_are_those_of_the_kinematics_that_a_robot_acts_by():
    joints, exact = some_joints(50), kinematics()
    found = ForwardKinematics(exact, HAND.n_joints)(torch.tensor(joints))
    expected = exact.forward(joints)
    np.testing.assert_allclose(found.positions, expected.positions, atol=1e-12)
    np.testing.assert_allclose(found.rotations, expected.rotations, atol=1e-12)
    batched = ForwardKinematics(exact, HAND.n_joints)(torch.tensor(joints).unflatten(0, (5, 10)))
    torch.testing.assert_close(batched.positions.flatten(0, 1), found.positions)


def test_gradients_of_poses_are_differences():
    forward = ForwardKinematics(kinematics(), HAND.n_joints)
    joints = torch.tensor(some_joints(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: tuple(forward(q)), joints)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, 1e-4, 2e-4, 0.1, 2.0, 3.1])
def test_a_rotation_vector_is_axis_times_angle_and_has_a_gradient(angle):
    axis = torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64) / 3.0

    def there_and_back(vector):
        cross = torch.zeros(3, 3, dtype=torch.float64)
        for row, column, index, sign in ((2, 1, 0, 1), (0, 2, 1, 1), (1, 0, 2, 1)):
            step = torch.zeros(3, 3, dtype=torch.float64)
            step[row, column], step[column, row] = sign, -sign
            cross = cross + vector[index] * step
        return rotation_vector(torch.linalg.matrix_exp(cross))

    vector = angle * axis
    torch.testing.assert_close(there_and_back(vector), vector, rtol=1e-8, atol=1e-12)
    jacobian = torch.autograd.functional.jacobian(there_and_back, vector)
    torch.testing.assert_close(jacobian, torch.eye(3, dtype=torch.float64), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("meaning", "degree"),  # the arm where it is, as a reference, is for absolute positions
    [
        *(("absolute_position", degree) for degree in (0, 1, 2)),
        *(("relative_position", degree) for degree in (1, 2)),
        *(("velocity", degree) for degree in (1, 2)),
    ],
)
def test_what_a_chunk_stands_for_is_what_normalizer_and_action_space_say(meaning, degree):
    contract = of_hand(meaning)
    normalizer, observations, chunks = fitted(contract, degree)
    z, space = normalizer.normalize(chunks, observations), action_space(contract)
    actions = normalizer.unnormalize(z, observations)
    pairs = zip(actions, observations[:, -1], strict=True)
    expected = np.array([space.decode(one, anchor) for one, anchor in pairs])
    cond = torch.tensor(normalizer.features(observations))
    found = Decoded(normalizer, contract)(torch.tensor(z), cond)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_tools_error_is_metres_and_radians():
    normalizer, observations, chunks = fitted(HAND, 1)
    z = torch.tensor(normalizer.normalize(chunks, observations))
    cond = torch.tensor(normalizer.features(observations))
    other = z + 0.3 * torch.tensor(RNG.standard_normal(z.shape))
    seen = ToolSpace(normalizer, HAND, MODEL)(z, other, cond)
    decoded, exact = Decoded(normalizer, HAND), kinematics()
    one, two = (decoded(part, cond).numpy() for part in (z, other))
    a, b = (exact.forward(part.reshape(-1, HAND.n_joints)) for part in (one, two))
    away = np.square(a.positions - b.positions).sum()
    cosine = (np.trace(np.swapaxes(b.rotations, -1, -2) @ a.rotations, axis1=-2, axis2=-1) - 1) / 2
    turned = np.square(np.arccos(np.clip(cosine, -1, 1))).sum()
    gripper = np.square((one - two)[..., -1] / normalizer.action_std[-1]).sum()
    expected = away + METRES_A_RADIAN**2 * (turned + gripper)
    np.testing.assert_allclose(float(seen.square().sum()), expected, rtol=1e-8)


def test_a_scale_of_guidance_behind_an_observation_changes_nothing_there():
    """As lcm's student is told it."""
    for degree in (1, 2):
        normalizer, observations, chunks = fitted(HAND, degree)
        z = torch.tensor(normalizer.normalize(chunks, observations))
        cond = torch.tensor(normalizer.features(observations))
        decoded = Decoded(normalizer, HAND)
        assert torch.equal(decoded(z, with_scale(cond, 2.0)), decoded(z, cond))


def test_a_loss_in_the_tools_space_has_the_gradient_of_differences():
    normalizer, observations, chunks = fitted(HAND, 1)
    z = torch.tensor(normalizer.normalize(chunks, observations))[:2]
    cond = torch.tensor(normalizer.features(observations))[:2]
    space = ToolSpace(normalizer, HAND, MODEL)
    objective = Kd(space="tool", share=0.5).within(space)
    found = (z + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: objective.mean_square(x, z, cond), found)
    here = 0.5 * (found - z).square().sum() + 0.5 * space(found, z, cond).square().sum()
    torch.testing.assert_close(objective.mean_square(found, z, cond), here / z.numel())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spaces")
    for seconds in (0.5, 0.6, 0.4):
        record(folder / "episodes", seconds)
    vdd(*train(folder / "episodes", folder / "teacher"))
    return load_teacher(folder / "teacher")


@pytest.mark.parametrize("space", ["tool", "latent"])
def test_small_changes_count_as_much_in_every_space(teacher, space):
    objective = compared_in_space(Kd(space=space, share=1.0), teacher, MODEL)
    generator = torch.Generator().manual_seed(1)
    z = 0.5 * torch.randn(4000, teacher.normalizer.sizes[-1], generator=generator)
    change = 0.05 * torch.randn(z.shape, generator=generator)
    cond = torch.zeros(len(z), teacher.normalizer.sizes[1])
    ratio = objective.mean_square(z + change, z, cond) / change.square().mean()
    assert 0.5 < float(ratio) < 2.0


def test_an_autoencoder_is_trained_once_and_says_chunks_back(teacher):
    training = TrainingConfig(steps=400, batch_size=64, ema_decay=0.9)
    net = autoencoder_of(teacher, training=training)
    files = {path: path.stat().st_mtime_ns for path in teacher.folder.glob("autoencoder-*")}
    again = autoencoder_of(teacher, training=dataclasses.replace(training))
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert all(path.stat().st_mtime_ns == written for path, written in files.items()) and files
    chunks = training_examples(teacher)[0].chunks
    assert float((net(chunks) - chunks).square().mean()) < 0.7 * float(chunks.var())


def test_without_kinematics_or_a_robot_one_sentence_says_so(teacher):
    with pytest.raises(UserError, match="--kinematics"):
        compared_in_space(Kd(space="tool"), teacher, None)
    some = torch.zeros(2, 3)
    with pytest.raises(UserError, match="take normalised"):
        Kd(space="tool").difference(some, some, some)
    raw = HAND.to_dict()
    raw["frames"]["tool"] = "panda_link0"
    with pytest.raises(UserError, match="tell of panda_rod_tip, .* is panda_link0: name a file"):
        with_kinematics(Contract.from_dict(raw), MODEL)
    poses = Contract.from_yaml(CONFIG / "panda_avoid_tool_pose.yaml")
    with pytest.raises(UserError, match="poses of tools already"):
        Decoded(teacher.normalizer, poses)


def test_a_student_is_distilled_by_poses_and_a_bench_tells_how_near_it_came(teacher, tmp_path):
    tool = ["--kinematics", CONFIG / "kinematics" / "panda_tools.yaml"]
    how = ["--method", "kd", "--objective", "space=tool"]
    few = distill(teacher.folder, tmp_path / "run", *how, student=())
    assert cli.main(few) == cli.USER_ERROR
    assert cli.main([*few, *words("--objective", "share=0", *tool)]) == cli.USER_ERROR
    assert not (tmp_path / "run" / "run.json").exists()
    vdd(*few, *tool)
    student = load_any_student(tmp_path / "run")
    assert isinstance(student, FewStepStudent) and student.objective.space == "tool"
    found = MapErrors(teacher, MODEL).of(student)
    bench = ["bench", "spaces", "--run", teacher.folder, *tool, "--out", tmp_path / "cells.jsonl"]
    bench += ["--methods", "kd", "--seeds", 0, "--training.steps", 50, "--pool.size", 100]
    bench += ["--judge.observations", 4, "--judge.samples", 4, "--judge.reference", 8]
    vdd(*bench, "--spaces", "normalised")
    first = (tmp_path / "cells.jsonl").read_text()
    vdd(*bench, "--spaces", "normalised", "tool")
    both = (tmp_path / "cells.jsonl").read_text()
    assert both.startswith(first) and len(both.splitlines()) == 2
    assert found.keys() <= json.loads(first).keys()
    assert cli.main(words(*bench, "--methods", "kd", "nll")) == cli.USER_ERROR
    (tmp_path / "cells.jsonl").write_text("{}\n")
    assert cli.main(words(*bench)) == cli.USER_ERROR
    assert (tmp_path / "cells.jsonl").read_text() == "{}\n"


def test_figures_of_a_map_are_nothing_for_the_teacher_itself(teacher):
    errors = MapErrors(teacher, MODEL)
    ends = errors.ends

    class Itself(Kd):
        def sample(self, student, starts, cond, draw=None):
            return ends

    itself = SimpleNamespace(objective=Itself(), net=None)
    assert max(errors.of(itself).values()) < 1e-6


def test_which_methods_compare(capsys):
    comparing = [name for name, kind in METHODS.items() if hasattr(kind, "mean_square")]
    assert comparing == ["kd", "cd", "ct", "ict", "lcm", "ctm"]
    assert cli.main(["distill", "--method", "nfsd", "--help-settings"]) == 0
    assert "no honest counterpart" in " ".join(capsys.readouterr().out.split())
