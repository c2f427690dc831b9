"""Distillation from a teacher with an exact score: what comes out is known.

Observation c in [-1, 1]; four modes on the unit circle, turned by 0.5 c, standard deviation 0.08.
"""

import math
from typing import NamedTuple

import pytest
import torch

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import Batch, Nll, Vdd, VddPaper, fit
from vdd_ros.policies.objectives.vdd import reverse_kl_gradient
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.training import TrainingConfig

WEIGHTS = torch.tensor([0.30, 0.25, 0.20, 0.25])
SPREAD = 0.08
BATCH = 128
EXACT = {
    "observations": BATCH,
    "sigma_min": 0.05,
    "sigma_max_start": 2.0,
    "sigma_max_end": 0.1,
    "band": 100.0,
    "forward_weight": 0.0,
}


def four_modes(cond: torch.Tensor) -> GaussianMixture:
    angle = torch.arange(4) * (math.pi / 2) + 0.5 * cond
    means = torch.stack([angle.cos(), angle.sin()], -1)
    log_weights = WEIGHTS.log().expand(len(cond), 4)
    return GaussianMixture(log_weights, means, Diagonal(torch.full_like(means, SPREAD)))


class Outcome(NamedTuple):
    weights: torch.Tensor  # (4,) share of samples per mode
    spread: float  # within-mode standard deviation, as a multiple of the teacher's
    off_support: float  # share of samples more than four standard deviations from every mode
    off_support_means: float  # the same of executed expert means
    mean_error: float  # distance of executed means to the nearest mode


def distil(objective, n_experts: int, steps: int = 1500, **choices) -> Outcome:
    generator = torch.Generator().manual_seed(1)
    cond = torch.rand(4000, 1, generator=generator) * 2 - 1
    samples = four_modes(cond).sample(1, generator)[:, 0]
    torch.manual_seed(0)
    config = StudentConfig(
        n_experts=n_experts, width=64, blocks=1, octaves=0, bottleneck=4, **choices
    )
    student = GaussianMoE(config, newest_dim=1, cond_dim=1, dim=2)
    data, teacher = Batch(cond, samples, samples), OracleTeacher(four_modes)
    training = TrainingConfig(steps=steps, batch_size=BATCH, learning_rate=2e-3, ema_decay=0.99)
    student.load_state_dict(fit(student, teacher, data, objective, training))
    return judge(student, generator)


@torch.no_grad()
def judge(student: GaussianMoE, generator: torch.Generator) -> Outcome:
    cond = torch.linspace(-1, 1, 100)[:, None]
    mixture, modes = student(cond), four_modes(cond).means
    drawn = mixture.sample(200, generator)
    distance, nearest = torch.cdist(drawn, modes).min(-1)
    offset = drawn - modes.gather(1, nearest[..., None].expand(-1, -1, 2))
    to_mean = torch.cdist(mixture.sample_means(50, generator), modes).amin(-1)
    return Outcome(
        weights=torch.bincount(nearest.flatten(), minlength=4) / nearest.numel(),
        spread=(offset.std() / SPREAD).item(),
        off_support=(distance > 4 * SPREAD).float().mean().item(),
        off_support_means=(to_mean > 4 * SPREAD).float().mean().item(),
        mean_error=to_mean.mean().item(),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [Vdd(**EXACT, start=0.35), Vdd(**EXACT | {"forward_weight": 0.3}, start=0.35), Nll()],
    ids=["vdd-exact-alone", "vdd", "nll"],
)
def test_with_enough_experts_the_teacher_is_recovered(objective):
    outcome = distil(objective, n_experts=6)
    assert (outcome.weights - WEIGHTS).abs().max() < 0.03
    assert outcome.spread == pytest.approx(1.0, abs=0.1)
    assert outcome.off_support < 0.01
    assert outcome.mean_error < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    "choices",
    [{"covariance": "low-rank", "rank": 1}, {"covariance": "diagonal"}, {"trunk": "transformer"}],
    ids=["low-rank", "diagonal", "transformer"],
)
def test_every_kind_of_student_recovers_it(choices):
    outcome = distil(Vdd(**EXACT, start=0.35), n_experts=6, **choices)
    assert (outcome.weights - WEIGHTS).abs().max() < 0.03
    assert outcome.spread == pytest.approx(1.0, abs=0.1)
    assert outcome.off_support < 0.01


@pytest.mark.slow
def test_the_published_objective_blurs():
    """Its fixed point (sigma ~ U(0.2, 0.5)) has a std of at least 0.32 for any sharp teacher."""
    outcome = distil(VddPaper(), n_experts=6, steps=700)
    assert 0.2 < outcome.spread * SPREAD < 0.4
    assert outcome.off_support > 0.4


@pytest.mark.slow
def test_with_too_few_experts_only_the_exact_objective_stays_on_the_modes():
    """Three experts without correlations for four modes, without likelihood, first or beside.

    It would leave an expert halfway between two modes, where the pull of both is equal.
    """
    few = {"n_experts": 3, "steps": 800, "covariance": "diagonal"}
    chosen = distil(Vdd(**EXACT, start=0.0, last_rate=1.0), **few)
    likelihood = distil(Nll(), **few)
    assert chosen.off_support < 0.02 and chosen.off_support_means == 0.0
    assert likelihood.off_support > 0.2 and likelihood.off_support_means > 0.2


@pytest.mark.parametrize(("progress", "sigma"), [(0.0, 0.4), (0.3, 0.2), (0.6, 0.0), (1.0, 0.0)])
def test_the_likelihood_s_noise_falls_to_none(progress, sigma):
    cond = torch.linspace(-1, 1, 8)[:, None]
    samples = four_modes(cond).means[:, 0]
    found = Nll(sigma_start=0.4, settle=0.6).loss(
        four_modes, OracleTeacher(four_modes), Batch(cond, samples, samples), progress,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(0))
    expected = -four_modes(cond).log_prob((samples + sigma * noise)[:, None]).mean() / 2
    torch.testing.assert_close(found, expected)


def test_the_likelihood_of_every_sample_stays_beside_the_exact_gradient():
    cond = torch.linspace(-1, 1, 8)[:, None]
    samples = four_modes(cond).means[:, 1]

    def loss(weight):
        return Vdd(observations=3, forward_weight=weight).loss(
            four_modes, OracleTeacher(four_modes), Batch(cond, samples, samples), 0.95,
            torch.Generator().manual_seed(0),
        )  # fmt: skip

    likelihood = -four_modes(cond).log_prob(samples[:, None]).mean() / 2
    torch.testing.assert_close(loss(0.5) - loss(0.0), 0.5 * likelihood)


def test_the_teacher_is_asked_about_no_more_observations_than_set():
    asked = []

    def counting(cond):
        asked.append(len(cond))
        return four_modes(cond)

    cond = torch.linspace(-1, 1, 8)[:, None]
    samples = four_modes(cond).means[:, 0]
    batch, generator = Batch(cond, samples, samples), torch.Generator()
    vdd = Vdd(observations=5, samples=3, start=0.0)
    vdd.loss(four_modes, OracleTeacher(counting), batch, 0.5, generator)
    paper = VddPaper(observations=5, samples=3)
    paper.expert_loss(four_modes, OracleTeacher(counting), batch, generator)
    assert asked == [5 * 4 * 3] * 2


def test_the_gradient_vanishes_for_every_draw_at_the_teacher():
    """Sticking the landing: not only in expectation."""
    cond = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None]
    mixture = four_modes(cond)
    mixture = GaussianMixture(*(part.double() for part in mixture))
    generator = torch.Generator().manual_seed(0)
    chunks = mixture.sample_components(3, generator)
    sigma = torch.linspace(0.05, 2.0, 8, dtype=torch.float64)

    def in_double(c):
        return GaussianMixture(*(part.double() for part in four_modes(c)))

    pull = reverse_kl_gradient(mixture, OracleTeacher(in_double), cond, chunks, sigma, generator)
    assert pull.abs().max() < 1e-9


def test_until_its_exact_phase_vdd_is_nll_number_for_number():
    """With the same schedule: so what is compared is the exact phase alone."""

    def reached(objective, steps: int) -> torch.Tensor:
        cond = torch.zeros(64, 1)
        samples = four_modes(cond).sample(1, torch.Generator().manual_seed(0))[:, 0]
        torch.manual_seed(0)
        config = StudentConfig(n_experts=3, width=8, blocks=1, octaves=0, bottleneck=4)
        student = GaussianMoE(config, newest_dim=1, cond_dim=1, dim=2)
        seen: list[torch.Tensor] = []

        def watch(step: int, average: GaussianMoE) -> None:
            seen.append(torch.cat([one.detach().flatten() for one in average.parameters()]))

        data, teacher = Batch(cond, samples, samples), OracleTeacher(four_modes)
        fit(student, teacher, data, objective, TrainingConfig(steps=100, bf16=False), watch=watch)
        return seen[steps // 50 - 1]

    vdd, nll = Vdd(start=0.5), Nll(start=0.5)
    assert torch.equal(reached(vdd, 50), reached(nll, 50))
    assert not torch.equal(reached(vdd, 100), reached(nll, 100))
