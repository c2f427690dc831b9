"""From a run to its bundle's detector, and what `vdd bench ood` counts with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import CONTRACT, record

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.policies.demonstrations import unseen
from vdd_ros.policies.ood import LOOK_S
from vdd_ros.policies.runs import load_teacher

SIZES = ["--student.n-experts", "2", "--student.width", "8", "--student.blocks", "1"]
SIZES += ["--student.octaves", "0", "--student.bottleneck", "2", "--training.steps", "4"]


def vdd(*given: object) -> int:
    return cli.main([str(word) for word in given])


def recorded(folder: Path, seconds: np.ndarray) -> Path:
    for length in seconds:
        record(folder, float(length))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny teacher with four episodes held out, a student of it, and further recordings."""
    out = tmp_path_factory.mktemp("ood")
    recorded(out / "episodes", np.linspace(0.4, 0.8, 12))
    recorded(out / "further", np.linspace(0.42, 0.7, 5))
    recorded(out / "tried", np.array([0.46, 0.60]))
    words = ["train", "--episodes", out / "episodes", "--out", out / "teacher", "--held-out", 4]
    words += ["--teacher.width", 24, "--teacher.blocks", 1, "--teacher.octaves", 0]
    words += ["--teacher.horizon", 3, "--training.steps", 4]
    assert vdd(*words) == 0
    assert vdd("distill", "--teacher", out / "teacher", "--out", out / "student", *SIZES) == 0
    return out


@pytest.fixture(scope="module")
def bundle(folder) -> Bundle:
    words = ["export", "--run", folder / "student", "--teacher", folder / "teacher"]
    assert vdd(*words, "--calibration", folder / "further", "--out", folder / "bundle") == 0
    return Bundle.load(folder / "bundle")


def test_with_what_was_held_out_alone_it_is_said_what_that_allows(folder, tmp_path, capsys):
    assert vdd("export", "--run", folder / "teacher", "--out", tmp_path / "bundle") == 0
    detector = Bundle.load(tmp_path / "bundle").ood_detector
    assert detector.distance.false_alarm_rate == pytest.approx(0.2)
    assert detector.distance.episodes == 4 and detector.gating_entropy is detector.surprise is None
    assert "a false alarm in at most 20.0% of episodes" in capsys.readouterr().out


def test_further_recordings_allow_for_fewer_false_alarms(folder, bundle):
    for threshold in bundle.ood_detector.thresholds.values():
        assert threshold.false_alarm_rate == pytest.approx(0.1)
    windows = unseen(load_teacher(folder / "teacher"), folder / "further")
    assert len(np.unique(windows.episode)) == 9


def test_its_likelihoods_are_those_that_the_monitor_says(folder, bundle):
    """The threshold is the least log-likelihood of a demonstrated chunk, by density.onnx."""
    from vdd_ros.inference import OnnxDensity

    density = OnnxDensity(bundle.density_path)
    windows = unseen(load_teacher(folder / "teacher"), folder / "further")
    every = round(LOOK_S * 100)
    lowest = np.inf
    for episode in np.unique(windows.episode):
        one = windows.of_episodes(np.array([episode]))
        for k in range(0, len(one.observations), every):
            if not one.is_pad[k].any():
                lowest = min(lowest, density.log_prob(one.observations[k], one.chunks[k]))
    assert -bundle.ood_detector.surprise.value == pytest.approx(lowest, rel=1e-3)


def test_a_rate_that_is_none_is_refused(folder, tmp_path, capsys):
    words = ["export", "--run", folder / "teacher", "--out", tmp_path / "bundle"]
    assert vdd(*words, "--false-alarm-rate", 0) == cli.USER_ERROR
    assert "write a number between 0 and 1" in capsys.readouterr().err


def test_alarms_are_counted_in_demonstrations_and_in_rollouts(folder, bundle, capsys):
    words = ["bench", "ood", "--teacher", folder / "teacher", "--student", folder / "student"]
    words += ["--calibration", folder / "further", "--demonstrations", folder / "tried"]
    words += ["--bundle", bundle.folder, "--rollouts", 2, "--calls", 50, "--json"]
    assert vdd(*words) == cli.OK
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["episodes"] == {"fitted": 8, "calibrated": 9, "tried": 2}
    signals = {"distance", "gating_entropy", "own_mean", "own_sample", "demonstrated"}
    assert all(set(row["auroc"]) == signals for row in result["rows"][1:])
    assert sum(row["episodes"] for row in result["rollouts"]) == 2
    assert CONTRACT.name == result["contract"]


def test_what_is_calibrated_on_is_not_tried(folder, capsys):
    words = ["bench", "ood", "--teacher", folder / "teacher"]
    words += ["--calibration", folder / "further", "--demonstrations", folder / "further"]
    assert vdd(*words) == cli.USER_ERROR
    assert "is calibrated on: record others" in capsys.readouterr().err
    words = ["bench", "ood", "--teacher", folder / "teacher", "--demonstrations"]
    assert vdd(*words, folder / "episodes") == cli.USER_ERROR
    assert "knows every episode in" in capsys.readouterr().err
