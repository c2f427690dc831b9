"""Pruning: which experts are used, and that taking the others out changes nothing else."""

from dataclasses import replace

import pytest
import torch

from vdd_ros.policies import toys
from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import Nll
from vdd_ros.policies.pruning import PEAK, pruned, used_experts

SIZES = (2, 3)  # newest_dim, cond_dim


def student(covariance: str = "full") -> GaussianMoE:
    torch.manual_seed(0)
    config = StudentConfig(4, width=16, blocks=1, bottleneck=4, covariance=covariance, rank=2)
    moe = GaussianMoE(config, *SIZES, dim=3).eval()
    with torch.no_grad():
        for parameter in moe.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return moe


def only(mixture: GaussianMixture, kept: torch.Tensor) -> GaussianMixture:
    """Some of a mixture's components, renormalised."""
    log_weights = torch.log_softmax(mixture.log_weights[:, kept], dim=1)
    return GaussianMixture(log_weights, mixture.means[:, kept], mixture.covariance[:, kept])


@pytest.mark.parametrize("covariance", ["full", "low-rank", "diagonal"])
@torch.no_grad()
def test_what_remains_is_the_same_mixture_renormalised(covariance):
    moe, kept = student(covariance), torch.tensor([0, 2, 3])
    smaller = pruned(moe, kept)
    assert smaller.config == replace(moe.config, n_experts=3)
    cond = torch.randn(20, 3)
    found, expected = smaller(cond), only(moe(cond), kept)
    torch.testing.assert_close(found.log_weights, expected.log_weights, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.means, expected.means, atol=1e-6, rtol=1e-5)
    roots = [mixture.covariance.root() for mixture in (found, expected)]
    torch.testing.assert_close(*roots, atol=1e-5, rtol=1e-4)


class Gating:
    """A student of which only the gating matters."""

    def __init__(self, shares: list[list[float]]):
        self.shares = torch.tensor(shares)

    def __call__(self, cond):
        nothing = torch.zeros(0)
        return GaussianMixture(self.shares[cond[:, 0].long()].log(), nothing, Diagonal(nothing))


def test_an_expert_is_used_often_or_somewhere():
    often, never, somewhere = 0.92, 0.01, 0.07
    gating = Gating([[often, never, somewhere]] + [[0.99, 0.01, 0.0]] * 9)
    cond = torch.arange(10.0)[:, None]
    assert used_experts(gating, cond, share=0.02).tolist() == [0]
    assert used_experts(gating, cond, share=0.07 / PEAK).tolist() == [0, 2]
    assert used_experts(gating, cond, share=0.007).tolist() == [0, 1, 2]
    assert used_experts(gating, cond, share=0.999).tolist() == [0], "one always stays"
    assert used_experts(gating, cond, share=0.02, batch=3).tolist() == [0]


def test_of_sixteen_experts_for_eight_modes_about_eight_are_found():
    """Its density is that of all sixteen, but for the mass of those that were taken out."""
    toy, share = toys.TOYS["ring8"](), 0.02
    config = replace(toys.STUDENT, n_experts=16)
    training = replace(toys.TRAINING, steps=1500)
    whole = toys.distil_toy(toy, Nll(sparsity=0.1), config, training)
    found = toys.distil_toy(toy, Nll(sparsity=0.1), config, training, prune=share)
    assert 8 <= found.means.shape[1] <= 9
    kept = whole.log_weights[0].exp() >= share
    lost = whole.log_weights[0].exp()[~kept].sum()
    assert 0.0 < lost < 0.05
    points = whole.sample(2000, torch.Generator().manual_seed(0))
    before, after = whole.log_prob(points).exp(), found.log_prob(points).exp()
    assert ((1.0 - lost) * after <= before * (1.0 + 1e-4)).all()
    # sampled from the whole: E |after / before - 1| is twice the total variation, 2 lost
    assert (after / before - 1.0).abs().mean() == pytest.approx(2.0 * lost.item(), abs=0.01)
    judged = toys.judge_toy(toy, found)
    assert judged["modes"] == 8 and judged["kl"] < 0.05
