"""Distilling on what a student gets into by itself."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.errors import UserError
from vdd_ros.policies.distil import distil
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import Teacher, load_teacher
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.sim.visited import visited_windows

SIZES = ["--student.n-experts", "2", "--student.width", "8", "--student.blocks", "1"]
SIZES += ["--student.octaves", "0", "--student.bottleneck", "2", "--training.steps", "4"]
CONFIG = StudentConfig(n_experts=2, width=8, blocks=1, octaves=0, bottleneck=2)
SMALL = PoolConfig(32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny teacher, and the bundle of a tiny student of it."""
    out = tmp_path_factory.mktemp("visited")
    words = ["record", "--out", str(out / "episodes"), "--episodes", "3", "--one-process"]
    assert cli.main(words) == 0
    words = ["train", "--episodes", str(out / "episodes"), "--out", str(out / "teacher")]
    words += ["--teacher.width", "24", "--teacher.blocks", "1", "--teacher.octaves", "0"]
    assert cli.main([*words, "--held-out", "1", "--training.steps", "4"]) == 0
    words = ["distill", "--teacher", str(out / "teacher"), "--out", str(out / "student")]
    assert cli.main([*words, *SIZES]) == 0
    words = ["export", "--run", str(out / "student"), "--teacher", str(out / "teacher")]
    assert cli.main([*words, "--out", str(out / "bundle")]) == 0
    return out


def far_away(teacher: Teacher) -> np.ndarray:
    """Observations that nobody demonstrated."""
    newest = teacher.normalizer.newest_mean + 3.0 * teacher.normalizer.newest_std
    return np.tile(newest, (64, 1, 1))


def test_windows_are_seen_at_control_ticks_and_differ_between_seeds(folder, contract):
    seen = visited_windows(folder / "bundle", contract, "avoid", episodes=2, seed=0)
    assert seen.shape[1:] == (1, 7) and len(seen) > 50 and np.isfinite(seen).all()
    again = visited_windows(folder / "bundle", contract, "avoid", episodes=2, seed=0)
    np.testing.assert_array_equal(seen, again)
    other = visited_windows(folder / "bundle", contract, "avoid", episodes=2, seed=1)
    assert len(other) != len(seen) or not np.array_equal(other, seen)


def test_a_student_learns_on_what_another_one_visits(folder):
    words = ["distill", "--teacher", str(folder / "teacher"), "--out", str(folder / "second")]
    words += ["--visited.bundle", str(folder / "bundle"), "--visited.episodes", "1"]
    assert cli.main([*words, *SIZES]) == 0


def test_who_learns_from_demonstrations_cannot(folder):
    teacher, training = load_teacher(folder / "teacher"), TrainingConfig(steps=2)
    with pytest.raises(UserError, match="em learns from demonstrations"):
        distil(teacher, folder / "em", "em", CONFIG, training, visited=far_away(teacher))


def test_new_observations_change_what_is_learned(folder):
    teacher, training = load_teacher(folder / "teacher"), TrainingConfig(steps=4, batch_size=64)
    visited = far_away(teacher)
    with_them, without = (
        distil(
            teacher, folder / name, "nll", CONFIG, training, visited=windows, pool=PoolConfig(32)
        )
        for name, windows in (("with", visited), ("without", None))
    )
    means = [student.moe.mean.weight for student in (with_them, without)]
    assert not (means[0] == means[1]).all()
