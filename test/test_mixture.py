"""GaussianMixture against torch's own normal distribution and automatic differentiation."""

import pytest
import torch

from vdd_ros.policies.mixture import GaussianMixture

DIM = 6


def random_parts(seed: int = 0, batch=3, experts=4, dim=DIM) -> tuple[torch.Tensor, ...]:
    """log_weights, means and covariances (batch, experts, dim, dim), in float64."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    root = normal(batch, experts, dim, dim)
    covariance = root @ root.mT / dim + 0.1 * torch.eye(dim, dtype=torch.float64)
    return torch.log_softmax(normal(batch, experts), -1), normal(batch, experts, dim), covariance


def points(mixture: GaussianMixture, count: int = 5) -> torch.Tensor:
    g = torch.Generator().manual_seed(1)
    batch, _, dim = mixture.means.shape
    return torch.randn(batch, count, dim, generator=g, dtype=torch.float64)


def assert_is(mixture: GaussianMixture, log_weights, means, covariance) -> None:
    """Densities, responsibilities and score of the mixture are those of its parts."""
    a = points(mixture).requires_grad_()
    normal = torch.distributions.MultivariateNormal(means[:, None], covariance[:, None])
    joint = normal.log_prob(a[:, :, None]) + log_weights[:, None]
    expected = torch.logsumexp(joint, -1)
    torch.testing.assert_close(mixture.log_prob(a), expected)
    torch.testing.assert_close(mixture.log_responsibilities(a), torch.log_softmax(joint, -1))
    (gradient,) = torch.autograd.grad(expected.sum(), a)
    torch.testing.assert_close(mixture.score(a), gradient)


@pytest.mark.parametrize("dim", [1, 2, DIM])
def test_density_responsibilities_and_score(dim):
    parts = random_parts(dim=dim)
    assert_is(GaussianMixture.of_covariance(*parts), *parts)


@pytest.mark.parametrize("alpha", [1.0, 0.6, torch.tensor([0.9, 0.4, 0.7], dtype=torch.float64)])
def test_the_diffused_mixture_is_the_forward_process(alpha):
    log_weights, means, covariance = random_parts()
    sigma = torch.tensor([0.3, 0.8, 2.0], dtype=torch.float64)
    diffused = GaussianMixture.of_covariance(log_weights, means, covariance).diffused(sigma, alpha)
    signal = torch.as_tensor(alpha, dtype=torch.float64).expand(3)[:, None, None]
    noise = sigma[:, None, None, None] ** 2 * torch.eye(DIM, dtype=torch.float64)
    spread = signal[..., None] ** 2 * covariance + noise
    assert_is(diffused, log_weights, signal * means, spread)


def test_the_whitener_is_lower_triangular_and_its_inverse_the_cholesky_factor():
    log_weights, means, covariance = random_parts()
    mixture = GaussianMixture.of_covariance(log_weights, means, covariance)
    assert torch.equal(mixture.whitener, mixture.whitener.tril())
    assert (mixture.whitener.diagonal(dim1=-2, dim2=-1) > 0).all()
    torch.testing.assert_close(mixture.cholesky(), torch.linalg.cholesky(covariance))
    with pytest.raises(torch.linalg.LinAlgError):
        GaussianMixture.of_covariance(log_weights, means, -covariance)


def test_entropy_of_components():
    parts = random_parts()
    dense = torch.distributions.MultivariateNormal(*parts[1:])
    found = GaussianMixture.of_covariance(*parts).entropy_of_components()
    torch.testing.assert_close(found, dense.entropy())


def test_samples_have_the_mixture_s_moments():
    log_weights, means, covariance = random_parts(batch=1, experts=2)
    mixture = GaussianMixture.of_covariance(log_weights, means, covariance)
    drawn = mixture.sample(200_000, torch.Generator().manual_seed(0))[0]
    weights = log_weights[0].exp()
    mean = weights @ means[0]
    centred = means[0] - mean
    within = (weights[:, None, None] * covariance[0]).sum(0)
    assert (drawn.mean(0) - mean).abs().max() < 0.02
    expected = within + centred.T @ (weights[:, None] * centred)
    assert (drawn.T.cov() - expected).abs().max() < 0.04


def test_samples_of_a_component_have_its_moments_and_move_with_its_mean():
    log_weights, means, covariance = random_parts(batch=2, experts=2)
    means.requires_grad_()
    mixture = GaussianMixture.of_covariance(log_weights, means, covariance)
    drawn = mixture.sample_components(100_000, torch.Generator().manual_seed(0))
    centred = drawn - means[:, :, None]
    assert centred.mean(2).abs().max() < 0.02
    assert (centred.mT @ centred / 100_000 - covariance).abs().max() < 0.05
    (gradient,) = torch.autograd.grad(drawn.mean(2).sum(), means)
    torch.testing.assert_close(gradient, torch.ones_like(means))


def test_executed_means_are_those_of_experts_drawn_by_weight():
    log_weights, means, covariance = random_parts(batch=2)
    mixture = GaussianMixture.of_covariance(log_weights, means, covariance)
    drawn = mixture.sample_means(20_000, torch.Generator().manual_seed(0))
    is_expert = (drawn[:, :, None] == means[:, None]).all(-1)
    assert (is_expert.sum(-1) == 1).all()
    assert (is_expert.double().mean(1) - log_weights.exp()).abs().max() < 0.02


def test_far_from_every_component_nothing_underflows():
    mixture = GaussianMixture.of_covariance(*random_parts())
    far = torch.full((3, 1, DIM), 1e4, dtype=torch.float64)
    assert torch.isfinite(mixture.log_prob(far)).all()
    assert torch.isfinite(mixture.score(far)).all()


def test_a_training_in_bfloat16_does_not_touch_it():
    mixture = GaussianMixture.of_covariance(*(part.float() for part in random_parts()))
    a, sigma = points(mixture).float(), torch.tensor([0.1, 0.5, 1.0])

    def everything():
        g = torch.Generator().manual_seed(0)
        diffused = mixture.diffused(sigma)
        drawn = (mixture.sample(4, g), mixture.sample_components(4, g))
        return (*diffused, mixture.log_prob(a), mixture.score(a), *drawn)

    expected = everything()
    with torch.autocast("cpu", torch.bfloat16):
        found = everything()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other)
