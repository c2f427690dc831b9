"""Toys with a known answer: what an objective converges to, and how far that is from the truth."""

import json
import math

import pytest
import torch

from vdd_ros import cli
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.objectives import VddPaper
from vdd_ros.policies.toys import TOYS, judge_toy

RING = TOYS["ring8"]()


def distilled(method: str, capsys) -> dict:
    words = [
        "distill",
        "--toy",
        "ring8",
        "--method",
        method,
        "--toy-training.steps",
        "1500" if method == "vdd" else "800",  # vdd-paper updates experts twice a step
        "--threads",
        "1",
        "--json",
    ]
    assert cli.main(words) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_vdd_finds_the_true_width_and_all_modes(capsys):
    found = distilled("vdd", capsys)
    assert found["std"] == pytest.approx(found["true_std"], rel=0.05)
    assert found["modes"] == 8 and found["kl"] < 0.02


def test_the_published_objective_is_as_blurred_as_it_has_to_be(capsys):
    """Where the entropy's gradient meets that of E[log p_sigma(a)] at un-noised a, an expert on a
    lone mode has variance 1 / E[1 / (std^2 + sigma^2)] with sigma uniform in [0.2, 0.5]."""
    low, high, std = VddPaper().sigma_low, VddPaper().sigma_high, RING.std
    mean_precision = (math.atan(high / std) - math.atan(low / std)) / (std * (high - low))
    found = distilled("vdd-paper", capsys)
    assert found["std"] == pytest.approx(mean_precision**-0.5, rel=0.05)
    assert found["std"] > 3.0 * std and found["kl"] > 1.0


def test_the_truth_itself_is_judged_to_be_true():
    truth = RING.mixture(torch.zeros(1, 1))
    found = judge_toy(RING, truth)
    assert found["std"] == pytest.approx(RING.std, rel=1e-5)
    assert found["modes"] == 8 and found["kl"] == pytest.approx(0.0, abs=1e-5)
    half = GaussianMixture(
        torch.full((1, 4), -math.log(4)), truth.means[:, :4], truth.covariance[:, :4]
    )
    found = judge_toy(RING, half)
    assert found["modes"] == 4 and found["kl"] == pytest.approx(math.log(2), abs=1e-3)


def test_a_toy_is_distilled_without_a_teacher_and_a_run_not(tmp_path, capsys):
    assert cli.main(["distill", "--toy", "ring8", "--out", str(tmp_path / "run")]) == 2
    assert "a --toy has its own teacher" in capsys.readouterr().err
    assert cli.main(["distill", "--out", str(tmp_path / "run")]) == 2
    assert "--teacher" in capsys.readouterr().err
