"""Figures of fidelity, each against a direct computation or a closed form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.fidelity import (
    bootstrap,
    energy_distance,
    nll_per_dimension,
    off_support,
    sliced_w2,
)
from vdd_ros.policies.mixture import GaussianMixture


def draws(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mean_distance(a: np.ndarray, b: np.ndarray, pairs) -> float:
    return float(np.mean([np.linalg.norm(a[i] - b[j]) for i, j in pairs]))


def test_energy_distance_is_the_double_loop():
    a, b = draws(0, 2, 5, 3), draws(1, 2, 7, 3) + 0.5
    expected = []
    for x, y in zip(a.numpy(), b.numpy(), strict=True):
        cross = mean_distance(x, y, itertools.product(range(5), range(7)))
        within = [mean_distance(z, z, itertools.permutations(range(len(z)), 2)) for z in (x, y)]
        expected.append((2 * cross - sum(within)) / np.sqrt(3))
    np.testing.assert_allclose(energy_distance(a, b), expected, rtol=1e-6)


def test_energy_distance_is_zero_on_average_for_equals_and_grows_with_a_shift():
    a, b = draws(0, 400, 40, 4), draws(1, 400, 40, 4)
    equal = energy_distance(a, b)
    assert abs(equal.mean()) < 4 * equal.std() / 20
    near, far = (energy_distance(a, b + shift).mean() for shift in (0.3, 1.0))
    assert 0.02 < near < far


def test_sliced_w2_of_a_shift():
    """W2 along u of a shift v is |u . v|, and the mean of (u . v)^2 over directions |v|^2 / D."""
    a, shift = draws(0, 3, 60, 4), torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    expected = shift.norm().item() / 2.0
    found = sliced_w2(a, a[:, torch.randperm(60)] + shift, projections=20_000)
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert sliced_w2(a, a).max() == 0.0


def test_off_support_is_one_percent_for_the_teacher_and_all_for_the_far():
    reference, fresh, samples = (draws(seed, 40, 256, 2) for seed in (0, 1, 2))
    of_teacher = off_support(samples, reference, fresh)
    assert of_teacher.mean() == pytest.approx(0.01, abs=0.006)
    assert (off_support(samples + 100.0, reference, fresh) == 1.0).all()


def test_nll_is_that_of_the_standardised_chunk_without_its_padding():
    """Against scipy: each expert carried over to standardised actions, then cut to real steps."""
    rng = np.random.default_rng(0)
    horizon, dim, experts, rank = 4, 2, 3, 5
    windows = rng.normal(size=(80, 2, 2)).cumsum(1)
    recorded = windows[:, -1:] + rng.normal(size=(80, horizon, dim)) * [0.1, 3.0]
    normalizer = Normalizer.fit(windows, recorded, rank, rng)
    gates = rng.normal(size=(5, experts))
    gates -= logsumexp(gates, axis=1, keepdims=True)
    means = rng.normal(size=(5, experts, rank))
    roots = rng.normal(size=(5, experts, rank, rank)) + 0.5 * np.eye(rank)
    mixture = (gates, means, roots @ roots.swapaxes(2, 3))
    real = np.array([4, 3, 1, 4, 2])
    is_pad = np.arange(horizon) >= real[:, None]

    def decode(normalized, row):
        return normalizer.standardize(normalizer.unnormalize(normalized, windows[row])).ravel()

    nothing = np.array([decode(np.zeros(rank), row) for row in range(5)])
    offsets = normalizer.standardize(recorded[:5]) - nothing.reshape(5, horizon, dim)
    decoder = np.array([decode(one, 0) - nothing[0] for one in np.eye(rank)]).T
    scale = np.tile(normalizer.action_std, horizon)
    remainder = normalizer.remainder_covariance / np.outer(scale, scale)
    found = nll_per_dimension(
        GaussianMixture.of_covariance(*map(torch.tensor, mixture)),
        *map(torch.tensor, (offsets, decoder, remainder, is_pad)),
    )
    for row, steps in enumerate(real):
        kept = steps * dim
        standard = normalizer.standardize(recorded[row]).ravel()[:kept]
        dense = []
        for mean, root in zip(means[row], roots[row], strict=True):
            covariance = decoder @ root @ root.T @ decoder.T + remainder
            normal = multivariate_normal(decode(mean, row)[:kept], covariance[:kept, :kept])
            dense.append(normal.logpdf(standard))
        expected = -logsumexp(gates[row] + dense) / kept
        assert found[row].item() == pytest.approx(expected, rel=1e-9)


def test_bootstrap_is_the_normal_interval_of_a_mean():
    values = np.random.default_rng(0).normal(2.0, 3.0, size=400)
    found = bootstrap(values, seed=0)
    error = values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(error, rel=0.1)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)
