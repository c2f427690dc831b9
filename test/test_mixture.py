"""GaussianMixture against scipy-free closed forms and automatic differentiation, in float64."""

import pytest
import torch

from vdd_ros.policies.mixture import GaussianMixture


def random_mixture(rank: int, seed: int = 0, batch=3, experts=4, dim=6) -> GaussianMixture:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    return GaussianMixture(
        torch.log_softmax(normal(batch, experts), -1),
        normal(batch, experts, dim),
        normal(batch, experts, dim).abs() + 0.3,
        normal(batch, experts, dim, rank),
    )


def dense(mixture: GaussianMixture) -> torch.distributions.MultivariateNormal:
    covariance = torch.diag_embed(mixture.scales**2) + mixture.factors @ mixture.factors.mT
    return torch.distributions.MultivariateNormal(mixture.means, covariance)


@pytest.mark.parametrize("rank", [0, 2, 6])
@pytest.mark.parametrize("diffuse", [None, (1.0, 0.4), (0.7, 1.5)])
def test_log_prob_score_and_responsibilities(rank, diffuse):
    mixture = random_mixture(rank)
    if diffuse:
        alpha, sigma = diffuse
        mixture = mixture.diffused(torch.full((3,), sigma, dtype=torch.float64), alpha)
    a = torch.randn(3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    a.requires_grad_()
    joint = dense(mixture).expand((3, 4)).log_prob(a.transpose(0, 1)[:, :, None]).transpose(0, 1)
    joint = joint + mixture.log_weights[:, None]
    expected = torch.logsumexp(joint, -1)
    torch.testing.assert_close(mixture.log_prob(a), expected)
    torch.testing.assert_close(mixture.log_responsibilities(a), torch.log_softmax(joint, -1))
    (gradient,) = torch.autograd.grad(expected.sum(), a)
    torch.testing.assert_close(mixture.score(a), gradient)


def test_the_diffused_covariance_is_the_forward_process():
    mixture = random_mixture(2)
    sigma = torch.tensor([0.3, 0.8, 2.0], dtype=torch.float64)
    diffused = dense(mixture.diffused(sigma, 0.6)).covariance_matrix
    eye = torch.eye(6, dtype=torch.float64)
    expected = 0.36 * dense(mixture).covariance_matrix + sigma[:, None, None, None] ** 2 * eye
    torch.testing.assert_close(diffused, expected)


def test_entropy_of_components():
    mixture = random_mixture(3)
    torch.testing.assert_close(mixture.entropy_of_components(), dense(mixture).entropy())


def test_samples_have_the_mixture_s_moments():
    mixture = random_mixture(2, batch=1, experts=2)
    drawn = mixture.sample(200_000, torch.Generator().manual_seed(0))[0]
    weights = mixture.log_weights[0].exp()
    mean = weights @ mixture.means[0]
    centred = mixture.means[0] - mean
    covariance = (weights[:, None, None] * dense(mixture).covariance_matrix[0]).sum(0)
    covariance = covariance + centred.T @ (weights[:, None] * centred)
    assert (drawn.mean(0) - mean).abs().max() < 0.03
    assert (drawn.T.cov() - covariance).abs().max() < 0.12


def test_far_from_every_component_nothing_underflows():
    mixture = random_mixture(2)
    far = torch.full((3, 1, 6), 1e4, dtype=torch.float64)
    assert torch.isfinite(mixture.log_prob(far)).all()
    assert torch.isfinite(mixture.score(far)).all()
