"""imc: its curricula, and the experts that they lead to, in closed form."""

import math

import pytest
import torch

from vdd_ros.policies.covariance import Full
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import Batch, Em, Imc, fit
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.training import TrainingConfig

STD = 0.3
TRAINING = TrainingConfig(
    steps=600, batch_size=512, learning_rate=0.01, warmup_steps=10, ema_decay=0.98, clip_norm=10.0
)


def no_teacher(cond):
    raise AssertionError("a teacher was asked")


def learned(objective, demos: torch.Tensor, centres: torch.Tensor) -> GaussianMixture:
    """What experts that began at `centres` (K, 2) learn from demos (N, 2); one row."""
    torch.manual_seed(0)
    config = StudentConfig(
        n_experts=len(centres), width=16, blocks=1, octaves=0, covariance="diagonal"
    )
    moe = GaussianMoE(config, newest_dim=1, cond_dim=1, dim=2)
    moe.start_at(centres)
    data = Batch(torch.zeros(len(demos), 1), torch.full_like(demos, torch.nan), demos)
    moe.load_state_dict(fit(moe, OracleTeacher(no_teacher), data, objective, TRAINING))
    with torch.no_grad():
        return moe(torch.zeros(1, 1))


def two_modes(share: float = 0.6) -> torch.Tensor:
    """(5000, 2): standard deviation STD around (2, 0), `share` of them, and (-2, 0)."""
    generator = torch.Generator().manual_seed(0)
    side = 1.0 - 2.0 * (torch.rand(5000, 1, generator=generator) >= share)
    centre = torch.cat([2.0 * side, torch.zeros(5000, 1)], dim=1)
    return centre + STD * torch.randn(5000, 2, generator=generator)


def a_mixture() -> tuple[GaussianMixture, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    log_weights = torch.log_softmax(torch.randn(6, 3, generator=generator), dim=1)
    means = torch.randn(6, 3, 2, generator=generator)
    whitener = torch.eye(2).expand(6, 3, 2, 2) * 1.5
    demos = torch.randn(6, 2, generator=generator)
    return GaussianMixture(log_weights, means.requires_grad_(), Full(whitener)), demos


def test_curricula_are_distributions_over_the_demonstrations():
    mixture, demos = a_mixture()
    weight = Imc(eta=0.7).curricula(mixture, demos)
    torch.testing.assert_close(weight.sum(0), torch.ones(3))
    density = mixture.component_log_prob(demos[:, None])[:, 0].detach().exp()
    tempered = density ** (1 / 1.4)
    shared = tempered * mixture.log_weights.exp()
    by_hand = tempered * shared / shared.sum(1, keepdim=True)
    torch.testing.assert_close(weight, by_hand / by_hand.sum(0))


def test_experts_climb_the_bound_that_their_best_curriculum_attains():
    """With it the bound is eta log sum_n N_z(a_n)^(1/eta) q(z|n), whose gradient is taken here."""
    mixture, demos = a_mixture()
    objective, eta = Imc(eta=0.7), 1.4
    (found,) = torch.autograd.grad(objective.expert_loss(mixture, demos), mixture.means)
    log_prob = mixture.component_log_prob(demos[:, None])[:, 0]
    log_q = torch.log_softmax(log_prob / eta + mixture.log_weights, dim=1).detach()
    bound = eta * torch.logsumexp(log_prob / eta + log_q, dim=0)
    (expected,) = torch.autograd.grad(-bound.mean() / 2, mixture.means)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("eta", [1.0, 4.0])
def test_an_expert_is_narrower_than_its_data_by_what_eta_says(eta):
    demos = two_modes(share=1.0)
    mixture = learned(Imc(eta=eta), demos, torch.tensor([[1.5, 0.0]]))
    expected = STD * math.sqrt(1.0 - 1.0 / (2.0 * eta))
    stds = mixture.covariance.root()[0, 0].diagonal()
    assert stds.tolist() == pytest.approx([expected] * 2, rel=0.06)
    torch.testing.assert_close(mixture.means[0, 0], torch.tensor([2.0, 0.0]), atol=0.03, rtol=0.0)


def test_one_expert_for_two_modes_chooses_one_where_the_likelihood_takes_their_mean():
    start = torch.tensor([[1.0, 0.0]])
    chosen = learned(Imc(), two_modes(), start).means[0, 0]
    between = learned(Em(sigma_start=0.0), two_modes(), start).means[0, 0]
    torch.testing.assert_close(chosen, torch.tensor([2.0, 0.0]), atol=0.05, rtol=0.0)
    torch.testing.assert_close(between, torch.tensor([0.4, 0.0]), atol=0.1, rtol=0.0)


def test_two_experts_share_two_modes_and_are_used_alike():
    """Though one mode has more of the data: each expert's curriculum has sum one."""
    mixture = learned(Imc(), two_modes(), torch.tensor([[0.5, 0.5], [-0.5, -0.5]]))
    means = mixture.means[0][mixture.means[0, :, 0].argsort()]
    expected = torch.tensor([[-2.0, 0.0], [2.0, 0.0]])
    torch.testing.assert_close(means, expected, atol=0.05, rtol=0.0)
    assert mixture.log_weights.exp()[0].tolist() == pytest.approx([0.5, 0.5], abs=0.02)


def test_an_eta_of_nothing_is_refused():
    with pytest.raises(ValueError, match="eta must be positive"):
        Imc(eta=0.0)
