"""The monitor's density: against the learning part's mixture, scipy, and a student's own graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graphs import mixture as policy_graph
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from vdd_ros.density import MixtureParameters, draw, log_density
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxDensity, PolicyError
from vdd_ros.normalizer import Normalizer
from vdd_ros.onnx_graph import open_session
from vdd_ros.policies.export import lower_inverse, student_graphs
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig


def random_mixture(rank: int, experts: int = 4, dim: int = 6) -> MixtureParameters:
    rng = np.random.default_rng(rank)
    gates = rng.normal(size=experts)
    means = rng.normal(size=(experts, dim))
    whitener = np.tril(rng.normal(size=(dim, dim)), -1) + np.diag(0.2 + rng.random(dim))
    factors = rng.normal(size=(experts, dim, rank))
    return MixtureParameters(gates - logsumexp(gates), means, whitener, factors, whitener @ factors)


def as_torch(mixture: MixtureParameters) -> GaussianMixture:
    gates, means, whitener, factors, _ = (torch.tensor(part)[None] for part in mixture)
    covariance = torch.linalg.inv(whitener.mT @ whitener)[:, None] + factors @ factors.mT
    return GaussianMixture.of_covariance(gates, means, covariance)


@pytest.mark.parametrize("rank", [0, 1, 3, 9])
def test_agrees_with_scipy_and_with_the_learning_part(rank):
    mixture = random_mixture(rank)
    chunks = np.random.default_rng(99).normal(size=(5, 6))
    shared = np.linalg.inv(mixture.whitener.T @ mixture.whitener)
    dense = [
        multivariate_normal(mean, shared + factor @ factor.T).logpdf(chunks)
        for mean, factor in zip(mixture.means, mixture.factors, strict=True)
    ]
    found = log_density(mixture, chunks)
    expected = logsumexp(mixture.log_gating[:, None] + dense, axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    learned = as_torch(mixture).log_prob(torch.tensor(chunks)[None])[0]
    np.testing.assert_allclose(found, learned, atol=1e-10)


def test_stays_finite_far_away_and_where_experts_are_nearly_degenerate():
    mixture = random_mixture(3)._replace(log_gating=np.array([0.0, -np.inf, -np.inf, -np.inf]))
    flat = mixture._replace(whitener=1e4 * np.eye(6), whitened_factors=1e4 * mixture.factors)
    (far,) = log_density(flat, np.full((1, 6), 100.0))
    assert np.isfinite(far) and far < -1e9


def test_is_not_a_number_where_the_factors_drown_everything_else():
    mixture = random_mixture(2)._replace(whitened_factors=np.full((4, 6, 2), 1e12))
    assert np.isnan(log_density(mixture, np.zeros((3, 6)))).all()


@pytest.fixture(params=["full", "low-rank", "diagonal"])
def student(request) -> tuple[GaussianMoE, Normalizer, np.ndarray]:
    """A student of each covariance, its normalizer in uneven units, and windows (N, To, Do)."""
    rng = np.random.default_rng(5)
    windows = rng.normal(size=(50, 2, 3)).cumsum(1)
    chunks = windows[:, -1:] + rng.normal(size=(50, 4, 3)) * [0.1, 1.0, 10.0]
    torch.manual_seed(5)
    normalizer = Normalizer.fit(windows, chunks, 5, rng)
    config = StudentConfig(
        n_experts=3, width=16, blocks=1, bottleneck=4, rank=2, covariance=request.param
    )
    moe = GaussianMoE(config, *normalizer.sizes)
    for name in ("gating", "log_scale", "follow", "factor"):
        if hasattr(moe, name):
            torch.nn.init.normal_(getattr(moe, name).weight, std=0.3)
    return moe.eval(), normalizer, windows


def test_exported_density_is_the_students_own(tmp_path, student):
    moe, normalizer, windows = student
    _, graph = student_graphs(moe, normalizer, (2, 3))
    (tmp_path / "density.onnx").write_bytes(graph)
    density = OnnxDensity(tmp_path / "density.onnx")
    chunk = windows[7, -1] + np.random.default_rng(0).normal(size=(4, 3)) * 0.3
    features = torch.tensor(normalizer.features(windows[7]), dtype=torch.float32)
    with torch.no_grad():
        own = moe(features[None])
    means = normalizer.unnormalize(own.means[0].numpy(), windows[7]).reshape(3, -1)
    factors = normalizer.decoder @ own.covariance.root()[0].double().numpy()
    covariances = factors @ factors.swapaxes(1, 2) + normalizer.remainder_covariance
    dense = [
        multivariate_normal(mean, covariance).logpdf(chunk.ravel())
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    expected = logsumexp(own.log_weights[0].numpy() + dense)
    assert density.log_prob(windows[7], chunk) == pytest.approx(expected, abs=1e-3)
    with pytest.raises(PolicyError):
        density.log_prob(windows[7, :1], chunk)


def test_bound_buffers_change_no_number_and_what_was_given_stays(tmp_path, student):
    """Against the same graph in a session that makes new arrays, bit by bit."""
    moe, normalizer, windows = student
    path = tmp_path / "density.onnx"
    path.write_bytes(student_graphs(moe, normalizer, (2, 3))[1])
    density, session = OnnxDensity(path), open_session(path)[0]
    kept = [density.parameters(window) for window in windows[:3]]
    drawn = [density.draw(window, 4, np.random.default_rng(1)) for window in windows[:3]]
    for window, mixture, one in zip(windows[:3], kept, drawn, strict=True):
        feed = {"window": window.astype(np.float32)}
        expected = MixtureParameters(*session.run(MixtureParameters._fields, feed))
        for found, part in zip(mixture, expected, strict=True):
            np.testing.assert_array_equal(found, part)
        for found, part in zip(one, draw(expected, 4, np.random.default_rng(1)), strict=True):
            np.testing.assert_array_equal(found, part)
        chunk = windows[9, -1] + np.zeros((4, 3))
        assert density.log_prob(window, chunk) == log_density(expected, chunk.reshape(1, -1))[0]


def test_draws_have_their_expert_s_covariance_and_the_mixture_s_density(tmp_path, student):
    moe, normalizer, windows = student
    (tmp_path / "density.onnx").write_bytes(student_graphs(moe, normalizer, (2, 3))[1])
    density, rng = OnnxDensity(tmp_path / "density.onnx"), np.random.default_rng(0)
    _, means, drawn, log_density = density.draw(windows[7], 4000, rng)
    factors = density.parameters(windows[7]).factors
    for row, expert in ((0, 0), (5, 1), (17, 2)):
        sample = (means[expert] + drawn[row, expert]).reshape(4, 3)
        expected = density.log_prob(windows[7], sample)
        assert log_density[row, expert] == pytest.approx(expected, abs=1e-6)
    factors = factors.astype(np.float64)
    for expert in range(3):
        covariance = factors[expert] @ factors[expert].T
        scale = np.sqrt(np.diag(covariance))
        error = (np.cov(drawn[:, expert].T) - covariance) / np.outer(scale, scale)
        assert np.abs(error).max() < 0.1
        assert (np.abs(drawn[:, expert].mean(0)) < 0.08 * scale).all()


@pytest.mark.parametrize("dim", [1, 2, 3, 32])
def test_a_triangular_inverse_of_products_alone(dim):
    generator = torch.Generator().manual_seed(dim)
    whitener = torch.randn(4, dim, dim, generator=generator, dtype=torch.float64).tril(-1)
    whitener += torch.diag_embed(torch.rand(4, dim, generator=generator, dtype=torch.float64) + 0.5)
    expected = torch.linalg.inv(whitener)
    torch.testing.assert_close(lower_inverse(whitener), expected, rtol=1e-8, atol=1e-8)


def test_refuses_a_graph_that_is_no_density(tmp_path):
    path = tmp_path / "density.onnx"
    path.write_bytes(policy_graph(np.zeros(1), np.zeros((1, 4, 3)), observation_dim=3))
    with pytest.raises(UserError, match="whitener"):
        OnnxDensity(path)


def test_a_density_over_hundreds_of_numbers_is_a_graph_too(tmp_path):
    """Large constants are not folded: what is one and an output at once needs two names."""
    rng = np.random.default_rng(0)
    windows, chunks = rng.normal(size=(900, 1, 25)), rng.normal(size=(900, 16, 25))
    normalizer = Normalizer.fit(windows, chunks, 4, rng, degree=0)
    moe = GaussianMoE(StudentConfig(n_experts=2, width=8, blocks=1), *normalizer.sizes).eval()
    (tmp_path / "density.onnx").write_bytes(student_graphs(moe, normalizer, (1, 25))[1])
    found = OnnxDensity(tmp_path / "density.onnx").parameters(windows[0])
    assert found.means.shape == (2, 400)
    precision = found.whitener.T.astype(np.float64) @ found.whitener
    np.testing.assert_allclose(precision @ normalizer.remainder_covariance, np.eye(400), atol=1e-2)
