"""GaussianMixture with each kind of covariance, against torch's own normal distribution, automatic
differentiation and finite differences."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vdd_ros.policies.covariance import Covariance, Diagonal, Full, LowRank
from vdd_ros.policies.mixture import GaussianMixture

BATCH, EXPERTS, RANK = 3, 4, 3
KINDS = ["full", "diagonal", "low-rank"]
SIZES = [(kind, dim) for kind in KINDS for dim in (1, 7, 56)]
SIZES += [("diagonal", 400), ("low-rank", 400)]  # a chunk of 16 steps of 25 joints


class Case(NamedTuple):
    """A mixture and, in float64, what it is: the same covariances dense (B, K, D, D)."""

    mixture: GaussianMixture
    dense: Tensor


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance_of(kind: str, dim: int, batch: int) -> tuple[Covariance, Tensor]:
    scale = 0.2 + normal(batch, EXPERTS, dim, seed=0).abs()
    diagonal = torch.diag_embed(scale**2)
    if kind == "diagonal":
        return Diagonal(scale), diagonal
    if kind == "low-rank":
        factor = normal(batch, EXPERTS, dim, RANK, seed=1)
        return LowRank(scale, factor), diagonal + factor @ factor.mT
    root = normal(batch, EXPERTS, dim, dim, seed=1) / dim**0.5
    dense = diagonal + root @ root.mT
    return Full.of(dense), dense


def case(kind: str, dim: int = 7, batch: int = BATCH) -> Case:
    log_weights = torch.log_softmax(normal(batch, EXPERTS, seed=2), -1)
    covariance, dense = covariance_of(kind, dim, batch)
    means = normal(batch, EXPERTS, dim, seed=3)
    return Case(GaussianMixture(log_weights, means, covariance), dense)


def levels(seed: int) -> Tensor:
    """(BATCH,) in [0, 1], another one for each row."""
    return torch.rand(BATCH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def changed(mixture: GaussianMixture, change) -> GaussianMixture:
    return GaussianMixture(*(change(part) for part in mixture))


def assert_is(mixture: GaussianMixture, means: Tensor, dense: Tensor) -> None:
    """Densities, responsibilities and score are those of dense normal distributions."""
    a = normal(BATCH, 5, means.shape[-1], seed=4).requires_grad_()
    known = MultivariateNormal(means[:, None], dense[:, None]).log_prob(a[:, :, None])
    joint = known + mixture.log_weights[:, None]
    expected = torch.logsumexp(joint, -1)
    torch.testing.assert_close(mixture.component_log_prob(a), known)
    torch.testing.assert_close(mixture.log_prob(a), expected)
    torch.testing.assert_close(mixture.log_responsibilities(a), torch.log_softmax(joint, -1))
    (gradient,) = torch.autograd.grad(expected.sum(), a)
    torch.testing.assert_close(mixture.score(a), gradient)


@pytest.mark.parametrize(("kind", "dim"), SIZES)
def test_density_responsibilities_and_score(kind, dim):
    mixture, dense = case(kind, dim)
    assert_is(mixture, mixture.means, dense)


@pytest.mark.parametrize(("kind", "dim"), SIZES)
def test_the_diffused_mixture_is_the_forward_process(kind, dim):
    mixture, dense = case(kind, dim)
    alpha, sigma = levels(5), 0.01 + 3 * levels(6)
    noise = sigma[:, None, None, None] ** 2 * torch.eye(dim, dtype=torch.float64)
    found = mixture.diffused(sigma, alpha)
    assert type(found.covariance) is type(mixture.covariance)
    signal = alpha[:, None, None]
    assert_is(found, signal * mixture.means, signal[..., None] ** 2 * dense + noise)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_signal_scale_there_is_noise_alone(kind):
    mixture, dense = case(kind)
    sigma = levels(6)
    noise = sigma[:, None, None, None] ** 2 * torch.eye(7, dtype=torch.float64)
    assert_is(mixture.diffused(sigma), mixture.means, dense + noise)
    assert_is(mixture.diffused(sigma, 0.6), 0.6 * mixture.means, 0.36 * dense + noise)


@pytest.mark.parametrize(("kind", "dim"), SIZES)
def test_entropy_and_root(kind, dim):
    mixture, dense = case(kind, dim)
    known = MultivariateNormal(mixture.means, dense).entropy()
    torch.testing.assert_close(mixture.entropy_of_components(), known)
    root = mixture.covariance.root()
    torch.testing.assert_close(root @ root.mT, dense)


def test_a_full_covariance_is_kept_as_a_lower_triangle():
    mixture, dense = case("full")
    whitener = mixture.covariance.whitener
    assert torch.equal(whitener, whitener.tril())
    assert (whitener.diagonal(dim1=-2, dim2=-1) > 0).all()
    torch.testing.assert_close(mixture.covariance.root(), torch.linalg.cholesky(dense))
    with pytest.raises(torch.linalg.LinAlgError):
        GaussianMixture.of_covariance(mixture.log_weights, mixture.means, -dense)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_mixture_s_moments(kind):
    mixture, dense = case(kind, dim=5, batch=1)
    drawn = mixture.sample(200_000, torch.Generator().manual_seed(0))[0]
    weights, means = mixture.log_weights[0].exp(), mixture.means[0]
    mean = weights @ means
    centred = means - mean
    within = (weights[:, None, None] * dense[0]).sum(0)
    assert (drawn.mean(0) - mean).abs().max() < 0.03
    expected = within + centred.T @ (weights[:, None] * centred)
    assert (drawn.T.cov() - expected).abs().max() < 0.01 * expected.diagonal().max()


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_a_component_have_its_moments(kind):
    mixture, dense = case(kind, dim=5, batch=2)
    drawn = mixture.sample_components(100_000, torch.Generator().manual_seed(0))
    centred = drawn - mixture.means[:, :, None]
    size = dense.diagonal(dim1=-2, dim2=-1).sqrt()
    assert (centred.mean(2) / size).abs().max() < 0.015
    found = centred.mT @ centred / 100_000
    assert ((found - dense) / size[..., None] / size[..., None, :]).abs().max() < 0.02


@pytest.mark.parametrize("dim", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_a_component_move_with_means_and_covariance(kind, dim):
    """Reparameterised: gradients agree with finite differences for the same noise."""
    mixture, _ = case(kind, dim, batch=2)
    parts = [mixture.means, *vars(mixture.covariance).values()]

    def drawn(means, *parameters):
        covariance = type(mixture.covariance)(*parameters)
        moved = GaussianMixture(mixture.log_weights, means, covariance)
        return moved.sample_components(2, torch.Generator().manual_seed(0))

    assert torch.autograd.gradcheck(drawn, [part.requires_grad_() for part in parts])


@pytest.mark.parametrize("dim", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_density_s_gradients_are_those_of_finite_differences(kind, dim):
    """With respect to weights, means and covariance: what maximum likelihood descends."""
    mixture, _ = case(kind, dim, batch=2)
    a = normal(2, 3, dim, seed=4)
    parts = [mixture.log_weights, mixture.means, *vars(mixture.covariance).values()]

    def density(log_weights, means, *parameters):
        covariance = type(mixture.covariance)(*parameters)
        return GaussianMixture(log_weights, means, covariance).log_prob(a)

    assert torch.autograd.gradcheck(density, [part.requires_grad_() for part in parts])


def test_executed_means_are_those_of_experts_drawn_by_weight():
    mixture, _ = case("diagonal", batch=2)
    drawn, again = (
        mixture.sample_means(20_000, torch.Generator().manual_seed(0)) for _ in range(2)
    )
    assert torch.equal(drawn, again), "a seed decides"
    is_expert = (drawn[:, :, None] == mixture.means[:, None]).all(-1)
    assert (is_expert.sum(-1) == 1).all()
    assert (is_expert.double().mean(1) - mixture.log_weights.exp()).abs().max() < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_far_from_every_component_and_nearly_without_noise_nothing_underflows(kind):
    mixture, dense = case(kind, dim=56)
    unlikely = torch.full((BATCH, EXPERTS), -1e4, dtype=torch.float64)
    unlikely[:, 0] = 0.0
    far = torch.full((BATCH, 1, 56), 1e6, dtype=torch.float64)
    sharp = mixture._replace(log_weights=unlikely).diffused(
        torch.full((BATCH,), 1e-7, dtype=torch.float64), 1e-5
    )
    for a in (far, sharp.means[:, :1], sharp.means[:, 1:2]):
        for one in (mixture, sharp):
            assert torch.isfinite(one.log_prob(a)).all()
            assert torch.isfinite(one.log_responsibilities(a)).all()
            assert torch.isfinite(one.score(a)).all()
    scaled = MultivariateNormal(
        sharp.means, 1e-10 * dense + 1e-14 * torch.eye(56, dtype=torch.float64)
    )
    known = scaled.log_prob(sharp.means)[:, 0]  # the others' weights are nothing
    torch.testing.assert_close(sharp.log_prob(sharp.means[:, :1])[:, 0], known)


def test_a_low_rank_beside_which_the_rest_is_thin_keeps_its_digits_in_float32():
    """I + V^T V would have lost its 1: factors are 2000 times as large as what is beside them."""
    scale = torch.full((BATCH, EXPERTS, 56), 5e-4, dtype=torch.float64)
    factor = normal(BATCH, EXPERTS, 56, 1, seed=0) + 1e-3 * normal(BATCH, EXPERTS, 56, 3, seed=1)
    exact = case("low-rank", dim=56).mixture._replace(covariance=LowRank(scale, factor))
    a = exact.sample(5, torch.Generator().manual_seed(0))
    found = changed(exact, lambda part: part.float()).component_log_prob(a.float())
    own = exact.log_responsibilities(a).argmax(-1)[..., None]
    torch.testing.assert_close(
        found.double().gather(-1, own),
        exact.component_log_prob(a).gather(-1, own),
        atol=0.05,
        rtol=0.0,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_taken_of_every_part(kind):
    mixture, dense = case(kind)
    a = normal(BATCH, 5, 7, seed=4)
    rows = changed(mixture, lambda part: part[1:])
    assert torch.equal(rows.log_prob(a[1:]), mixture.log_prob(a)[1:])
    root = mixture.covariance[:, 2:].root()
    torch.testing.assert_close(root @ root.mT, dense[:, 2:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_covariance_in_another_precision_is_the_same(kind):
    covariance = case(kind).mixture.covariance
    there = covariance.float()
    assert type(there) is type(covariance) and there.root().dtype == torch.float32
    torch.testing.assert_close(there.double().root(), covariance.root(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_detached_mixture_has_no_gradient(kind):
    mixture, _ = case(kind)
    for part in (mixture.log_weights, mixture.means, *vars(mixture.covariance).values()):
        part.requires_grad_()
    a = normal(BATCH, 5, 7, seed=4)
    assert mixture.log_prob(a).requires_grad
    assert not mixture.detach().log_prob(a).requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_in_bfloat16_does_not_touch_it(kind):
    mixture = changed(case(kind).mixture, lambda part: part.float())
    a, sigma = normal(BATCH, 5, 7, seed=4).float(), torch.tensor([0.1, 0.5, 1.0])

    def everything():
        fresh = changed(mixture, lambda part: part.detach())
        g = torch.Generator().manual_seed(0)
        drawn = (fresh.sample(4, g), fresh.sample_components(4, g), fresh.entropy_of_components())
        return (fresh.diffused(sigma).log_prob(a), fresh.log_prob(a), fresh.score(a), *drawn)

    expected = everything()
    with torch.autocast("cpu", torch.bfloat16):
        found = everything()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_one_chunk_is_told_the_same_as_one_of_several(kind):
    mixture = case(kind).mixture
    several = normal(BATCH, 5, 7, seed=9)
    one = several[:, 2:3]
    for figure in (mixture.component_log_prob, mixture.log_prob, mixture.score):
        torch.testing.assert_close(figure(one), figure(several)[:, 2:3], rtol=1e-12, atol=1e-12)
