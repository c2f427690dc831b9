"""vdd-paper: the student that it leads to, in closed form, and its two players."""

import pytest
import torch

from vdd_ros.policies.cosine import level_sigmas
from vdd_ros.policies.covariance import Full
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import Batch, VddPaper, fit
from vdd_ros.policies.objectives.base import STUDENT
from vdd_ros.policies.objectives.vdd_paper import clean_score
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.players import Nets
from vdd_ros.policies.training import TrainingConfig

MEAN = torch.tensor([1.5, -1.0])
TRAINING = TrainingConfig(
    steps=400, batch_size=64, learning_rate=0.01, warmup_steps=10, ema_decay=0.98, clip_norm=10.0
)


def gaussian(std: float):
    """Observations (B, 1), of which nothing depends -> one Gaussian each."""

    def mixture_of(cond):
        shape = (len(cond), 1)
        whitener = (torch.eye(2) / std).expand(*shape, 2, 2)
        return GaussianMixture(torch.zeros(shape), MEAN.expand(*shape, 2), Full(whitener))

    return mixture_of


def student(n_experts: int) -> GaussianMoE:
    torch.manual_seed(0)
    config = StudentConfig(
        n_experts=n_experts, width=16, blocks=1, octaves=0, covariance="diagonal"
    )
    return GaussianMoE(config, newest_dim=1, cond_dim=1, dim=2)


def distilled(objective: VddPaper, std: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviations of a lone expert whose teacher is one Gaussian."""
    moe, cond = student(n_experts=1), torch.zeros(64, 1)
    demos = MEAN.expand(64, 2)
    moe.load_state_dict(
        fit(moe, OracleTeacher(gaussian(std)), Batch(cond, demos, demos), objective, TRAINING)
    )
    with torch.no_grad():
        mixture = moe(cond[:1])
    return mixture.means[0, 0], mixture.covariance.root()[0, 0].diagonal()


@pytest.mark.parametrize(("std", "blurred"), [(0.01, 0.316), (0.1, 0.336), (0.5, None)])
def test_sigma_levels_blur(std, blurred):
    sigma = torch.linspace(0.2, 0.5, 10_001, dtype=torch.float64)
    expected = float((1.0 / (std**2 + sigma**2)).mean() ** -0.5)
    if blurred:
        assert expected == pytest.approx(blurred, abs=5e-4)
    mean, stds = distilled(VddPaper(samples=8), std)
    torch.testing.assert_close(mean, MEAN, atol=0.02, rtol=0.0)
    assert stds.tolist() == pytest.approx([expected] * 2, rel=0.04)


@pytest.mark.parametrize(
    ("timesteps", "low", "high", "std", "shrink", "blurred"),
    [
        (8, 1, 4, 0.01, 0.825, 0.55),
        (8, 1, 4, 0.5, 0.788, None),
        (16, 2, 6, 0.01, 0.903, 0.425),
        (16, 4, 4, 0.01, 0.878, 0.479),
    ],
)
def test_timestep_levels_blur_and_shrink_the_mean(timesteps, low, high, std, shrink, blurred):
    alpha_bar = 1.0 / (1.0 + level_sigmas(timesteps)[low : high + 1] ** 2)
    weight = 1.0 / (alpha_bar * std**2 + 1.0 - alpha_bar)
    factor = float((weight * alpha_bar.sqrt()).mean() / weight.mean())
    expected = float(weight.mean() ** -0.5)
    assert factor == pytest.approx(shrink, abs=1e-3)
    if blurred:
        assert expected == pytest.approx(blurred, abs=3e-3)
    objective = VddPaper(samples=8, levels="timestep", timesteps=timesteps, t_low=low, t_high=high)
    mean, stds = distilled(objective, std)
    torch.testing.assert_close(mean, factor * MEAN, atol=0.03, rtol=0.0)
    assert stds.tolist() == pytest.approx([expected] * 2, rel=0.05)


def test_the_score_of_a_timestep_is_that_of_the_noised_chunk_at_the_clean_one():
    std, alpha, sigma = 0.4, torch.tensor([0.9, 0.5]), torch.tensor([0.3, 0.8])
    chunks = torch.tensor([[0.2, 0.1], [-1.0, 2.0]])
    found = clean_score(OracleTeacher(gaussian(std)), chunks, alpha, sigma, torch.zeros(2, 1))
    variance = (alpha * std).square() + sigma.square()
    expected = (alpha[:, None] * MEAN - chunks) / variance[:, None]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_cosine_schedule_is_the_published_one():
    """sqrt(1 - alpha_bar) as D3IL's configurations have it, to the digits known."""
    sigma = level_sigmas(8)
    noise = sigma / (1.0 + sigma**2).sqrt()
    assert noise.tolist() == pytest.approx(
        [0.205, 0.391, 0.562, 0.711, 0.834, 0.925, 0.981, 1.0], abs=6e-4
    )


def test_experts_and_gating_learn_in_turn_and_the_trunk_from_the_experts_alone():
    moe, asked = student(n_experts=3), []

    def teacher(cond):
        asked.append(len(cond))
        return gaussian(0.3)(cond)

    objective = VddPaper(observations=4, samples=2)
    experts, gating = objective.players(Nets({STUDENT: moe}, 0.9), OracleTeacher(teacher))
    names = {id(parameter): name for name, parameter in moe.named_parameters()}
    assert {names[id(one)] for one in gating.parameters} == {"gating.weight", "gating.bias"}
    assert {names[id(one)] for one in (*experts.parameters, *gating.parameters)} == set(
        names.values()
    )
    assert (experts.updates, gating.updates) == (2, 1)
    cond = torch.randn(8, 1, generator=torch.Generator().manual_seed(0))
    data = Batch(cond, cond.expand(8, 2), MEAN + cond)
    training = TrainingConfig(steps=5, batch_size=8)
    before = {name: one.clone() for name, one in moe.named_parameters()}
    fit(moe, OracleTeacher(teacher), data, objective, training)
    assert asked == [4 * 3 * 2] * 10
    assert all(not torch.equal(before[name], one) for name, one in moe.named_parameters())


def test_the_gating_is_fitted_to_responsibilities_for_demonstrations():
    """With two fixed experts: its share of one is that of the demonstrations near it."""
    moe = student(n_experts=2)
    moe.start_at(torch.tensor([[-2.0, 0.0], [2.0, 0.0]]))
    torch.nn.init.zeros_(moe.mean.weight)
    torch.nn.init.constant_(moe.log_scale.bias, -3.0)
    near = torch.tensor([[-2.0, 0.0]] * 3 + [[2.0, 0.0]])
    data = Batch(torch.zeros(4, 1), -near, near)
    objective = VddPaper(observations=4, expert_updates=1)
    nets = Nets({STUDENT: moe}, 0.9)
    _, gating = objective.players(nets, OracleTeacher(gaussian(0.3)))
    optimizer = torch.optim.Adam(gating.parameters, lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        gating.loss(data, 0.0, torch.Generator()).backward()
        optimizer.step()
    shares = moe(torch.zeros(1, 1)).log_weights.exp()[0]
    assert shares.tolist() == pytest.approx([0.75, 0.25], abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": "edm"},
        {"sigma_low": 0.0},
        {"sigma_low": 0.6},
        {"t_low": 5},
        {"t_high": 8},
        {"samples": 0},
    ],
)
def test_levels_that_cannot_be_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"{name}.*: {name}={value!r}$"):
        VddPaper(**wrong)
