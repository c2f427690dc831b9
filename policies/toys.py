"""Toys: distributions whose score is known, to see what an objective converges to.

A student is distilled from the exact score, and everything about the result is known: how wide its
experts are beside the true modes, how many modes it has, how far it is from the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig, k_means
from vdd_ros.policies.objectives import Batch, Objective, fit
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.pruning import pruned, used_experts
from vdd_ros.policies.training import QUIET, Report, TrainingConfig

SAMPLES = 20_000  # of the true distribution, for objectives that learn from samples
JUDGED = 50_000  # samples of the student
LEAST_SHARE = 0.02  # of the student's samples in a mode, for the mode to count
STUDENT = StudentConfig(n_experts=8, width=64, blocks=1, octaves=0, bottleneck=4)
TRAINING = TrainingConfig(steps=3000, batch_size=128, learning_rate=2e-3, ema_decay=0.99)


@dataclass(frozen=True)
class Toy:
    """centres: (M, 2) equally likely modes; std: of each, in every direction."""

    centres: Tensor
    std: float

    def mixture(self, cond: Tensor) -> GaussianMixture:
        """(B, 1), of which nothing depends -> B mixtures."""
        batch, modes = len(cond), len(self.centres)
        log_weights = torch.full((batch, modes), -math.log(modes))
        means = self.centres.expand(batch, -1, -1)
        return GaussianMixture(log_weights, means, Diagonal(torch.full_like(means, self.std)))


def ring(modes: int, radius: float, std: float) -> Toy:
    """Modes evenly spaced on a circle."""
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return Toy(radius * torch.stack([angles.cos(), angles.sin()], dim=1), std)


TOYS: dict[str, Callable[[], Toy]] = {"ring8": lambda: ring(8, radius=2.0, std=0.1)}


def distil_toy(
    toy: Toy,
    objective: Objective,
    config: StudentConfig = STUDENT,
    training: TrainingConfig = TRAINING,
    report: Report = QUIET,
    prune: float = 0.0,
) -> GaussianMixture:
    """The student's mixture after training, one row, without experts below a share of `prune`."""
    generator = torch.Generator().manual_seed(training.seed)
    cond = torch.zeros(SAMPLES, 1)
    samples = toy.mixture(cond[:1]).sample(SAMPLES, generator)[0]
    torch.manual_seed(training.seed)
    student = GaussianMoE(config, newest_dim=1, cond_dim=1, dim=toy.centres.shape[1])
    student.start_at(k_means(samples, config.n_experts, training.seed))
    data, teacher = Batch(cond, samples, samples), OracleTeacher(toy.mixture)
    student.load_state_dict(fit(student, teacher, data, objective, training, report=report))
    if prune:
        student = pruned(student, used_experts(student.eval(), cond[:1], prune))
    with torch.no_grad():
        return student.eval()(cond[:1])


@torch.no_grad()
def judge_toy(toy: Toy, mixture: GaussianMixture, seed: int = 0) -> dict:
    """std: root mean square over experts, by weight, of an expert's std; modes: how many have at
    least LEAST_SHARE of the samples; kl: KL(student || truth) in nats, by samples."""
    generator = torch.Generator().manual_seed(seed)
    drawn = mixture.sample(JUDGED, generator)
    nearest = torch.cdist(drawn[0], toy.centres).argmin(1)
    shares = torch.bincount(nearest, minlength=len(toy.centres)) / JUDGED
    truth = toy.mixture(torch.zeros(1, 1))
    variance = mixture.covariance.root().square().sum((2, 3)) / drawn.shape[-1]  # (1, K)
    return {
        "std": float((mixture.log_weights.exp() * variance).sum().sqrt()),
        "true_std": toy.std,
        "modes": int((shares >= LEAST_SHARE).sum()),
        "kl": float((mixture.log_prob(drawn) - truth.log_prob(drawn)).mean()),
    }
