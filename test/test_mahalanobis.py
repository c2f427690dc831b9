"""Distances to a training set, against scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2, kstest

from vdd_ros.mahalanobis import Clusters, fit_clusters, ledoit_wolf

RNG = np.random.default_rng
MIXING = np.array([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.2, 0.1]])


def test_the_distance_is_scipys_to_the_nearest_cluster():
    rng = RNG(0)
    means = rng.standard_normal((4, 3))
    roots = rng.standard_normal((4, 3, 3)) + 2 * np.eye(3)
    precisions = np.array([np.linalg.inv(root @ root.T) for root in roots])
    clusters = Clusters(means, np.array([np.linalg.inv(root) for root in roots]))
    points = rng.standard_normal((50, 3))
    expected = [
        min(mahalanobis(x, m, p) for m, p in zip(means, precisions, strict=True)) for x in points
    ]
    np.testing.assert_allclose(clusters.distance(points), expected, rtol=1e-12)


def test_of_one_gaussian_the_squared_distance_is_chi_squared():
    points = RNG(1).standard_normal((20_000, 3)) @ MIXING.T
    clusters = fit_clusters(points, 1, np.zeros((3, 3)), RNG(2))
    fresh = RNG(3).standard_normal((2_000, 3)) @ MIXING.T
    assert kstest(clusters.distance(fresh) ** 2, chi2(3).cdf).pvalue > 0.01


def test_ledoit_wolf_is_what_the_paper_says():
    """The mean of |x x^T - S|^2 written out, as in their lemma 3.4."""
    points = RNG(4).standard_normal((12, 3)) @ MIXING.T + 5.0
    centred = points - points.mean(0)
    sample = np.cov(points.T, bias=True)
    m = np.trace(sample) / 3
    d2 = np.linalg.norm(sample - m * np.eye(3)) ** 2
    b2 = sum(np.linalg.norm(np.outer(x, x) - sample) ** 2 for x in centred) / 12**2
    b2 = min(b2, d2)
    expected = b2 / d2 * m * np.eye(3) + (d2 - b2) / d2 * sample
    np.testing.assert_allclose(ledoit_wolf(points), expected, rtol=1e-12)


def test_shrinkage_goes_away_with_many_points_and_helps_with_few():
    true = MIXING @ MIXING.T
    many = RNG(5).standard_normal((100_000, 3)) @ MIXING.T
    np.testing.assert_allclose(ledoit_wolf(many), true, atol=0.02)
    rng = RNG(6)
    wide = [rng.standard_normal((10, 20)) for _ in range(50)]
    errors = [
        (np.linalg.norm(ledoit_wolf(p) - np.eye(20)), np.linalg.norm(np.cov(p.T) - np.eye(20)))
        for p in wide
    ]
    assert (np.mean(errors, axis=0) @ [1.0, -1.0]) < 0
    assert np.linalg.matrix_rank(ledoit_wolf(wide[0])) == 20


@pytest.mark.parametrize("points", [np.full((5, 2), 3.0), np.array([[1.0, 2.0]])])
def test_of_points_without_spread_it_is_zero(points):
    np.testing.assert_array_equal(ledoit_wolf(points), np.zeros((2, 2)))


def test_a_number_that_never_moves_does_not_blow_up():
    points = np.column_stack([RNG(7).standard_normal(500), np.full(500, 2.0)])
    clusters = fit_clusters(points, 2, 0.01**2 * np.eye(2), RNG(8))
    # within its noise it counts for little, at ten times that for ten at most
    at = np.column_stack([np.zeros(3), 2.0 + np.array([0.0, 0.005, 0.1])])
    near, within, far = clusters.distance(at)
    assert abs(within - near) < 0.5 and 2.0 < far < 11.0


def test_between_clusters_is_far_from_the_training_set():
    rng = RNG(9)
    points = np.concatenate([rng.normal(centre, 0.1, (500, 2)) for centre in (-3.0, 0.0, 3.0)])
    clusters = fit_clusters(points, 3, 1e-6 * np.eye(2), rng)
    np.testing.assert_allclose(np.sort(clusters.means[:, 0]), [-3, 0, 3], atol=0.05)
    assert clusters.distance(np.array([[1.5, 1.5]]))[0] > 10.0
    one = fit_clusters(points, 1, 1e-6 * np.eye(2), rng)
    assert one.distance(np.array([[1.5, 1.5]]))[0] < 2.0


def test_fewer_points_than_clusters():
    clusters = fit_clusters(np.eye(3), 16, 0.1 * np.eye(3), RNG(10))
    assert len(clusters.means) <= 3 and np.isfinite(clusters.distance(np.zeros((1, 3)))).all()
