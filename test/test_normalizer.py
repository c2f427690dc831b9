"""Normalizer: its mirror, what it leaves out, and a reference that leads back to the data."""

import json

import numpy as np
import pytest

from vdd_ros.errors import UserError
from vdd_ros.normalizer import SPREAD_FLOOR, STD_FLOOR, Normalizer

HORIZON, DIM = 4, 3
FULL, LOW = HORIZON * DIM, 2


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, 2, 3) on the surface x2 = 0.5 x0 x1 and chunks (N, 4, 3) that move along it."""
    rng = np.random.default_rng(0)
    start, velocity = rng.normal(size=(2000, 2)), 0.1 * rng.normal(size=(2000, 2))
    times = np.arange(-1, HORIZON)[:, None]
    flat = start[:, None] + times * velocity[:, None]
    points = np.concatenate([flat, 0.5 * flat[..., :1] * flat[..., 1:]], axis=-1)
    return points[:, :2], points[:, 1:] + 0.003 * rng.normal(size=(2000, HORIZON, DIM))


def fitted(data, rank: int, n_obs_steps: int = 2) -> Normalizer:
    observations, chunks = data
    return Normalizer.fit(observations[:, -n_obs_steps:], chunks, rank, np.random.default_rng(1))


@pytest.mark.parametrize("rank", [FULL, 99])
def test_with_full_rank_nothing_is_lost(data, rank):
    observations, chunks = data
    normalizer = fitted(data, rank)
    assert normalizer.sizes == (DIM, 2 * DIM, FULL)
    normalized = normalizer.normalize(chunks, observations)
    np.testing.assert_allclose(normalizer.unnormalize(normalized, observations), chunks, atol=1e-12)
    np.testing.assert_allclose(normalizer.remainder, 0.0, atol=1e-12)
    one = normalizer.normalize(chunks[0], observations[0])
    np.testing.assert_allclose(one, normalized[0])
    assert normalizer.unnormalize(one, observations[0]).shape == (HORIZON, DIM)


def test_what_a_low_rank_loses_is_the_remainder_and_the_least_that_can_be(data):
    observations, chunks = data
    normalizer, full = fitted(data, LOW), fitted(data, FULL)
    assert normalizer.sizes == (DIM, 2 * DIM, LOW)
    normalized = normalizer.normalize(chunks, observations)
    lost = (chunks - normalizer.unnormalize(normalized, observations)) / normalizer.chunk_std
    covariance = np.cov(lost.reshape(len(lost), -1).T, bias=True)
    np.testing.assert_allclose(covariance, normalizer.remainder, atol=1e-9)
    assert normalizer.remainder.max() > 0.2**2
    others = full.normalize(chunks, observations)[:, LOW:] * full.spread[LOW:]
    assert (lost**2).sum() == pytest.approx((others**2).sum())


def test_normalized_numbers_are_uncorrelated_and_of_unit_variance_above_the_floor(data):
    normalizer = fitted(data, FULL, n_obs_steps=1)
    covariance = np.cov(normalizer.normalize(data[1], data[0][:, -1:]).T)
    above = normalizer.spread > SPREAD_FLOOR
    assert above[0] and not above[-1] and (np.diff(normalizer.spread) <= 0.0).all()
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.diag(covariance)[above], 1.0, rtol=1e-3)
    assert (np.diag(covariance)[~above] < 1.0).all()


@pytest.mark.parametrize("rank", [LOW, FULL])
def test_the_decoder_is_the_derivative_and_normalize_undoes_it(data, rank):
    observations, _ = data
    normalizer = fitted(data, rank)
    around = np.random.default_rng(2).normal(size=rank)
    there = normalizer.unnormalize(around, observations[3])
    moved = normalizer.unnormalize(around + np.eye(rank), observations[3])
    np.testing.assert_allclose((moved - there).reshape(rank, -1).T, normalizer.decoder)
    np.testing.assert_allclose(normalizer.normalize(there, observations[3]), around)
    np.testing.assert_allclose(normalizer.normalize(moved, observations[3]), around + np.eye(rank))


def test_the_remainder_is_in_contract_units_and_has_a_floor(data):
    low, full = fitted(data, LOW), fitted(data, FULL)
    floor = np.diag(np.tile(STD_FLOOR * full.action_std, HORIZON) ** 2)
    np.testing.assert_allclose(full.remainder_covariance, floor, atol=1e-12)
    lost = data[1] - low.unnormalize(low.normalize(data[1], data[0]), data[0])
    covariance = np.cov(lost.reshape(len(lost), -1).T, bias=True)
    np.testing.assert_allclose(low.remainder_covariance, covariance + floor, atol=1e-9)


def test_with_degree_0_the_reference_is_where_the_arm_is(data):
    normalizer = Normalizer.fit(*data, LOW, np.random.default_rng(1), degree=0)
    stays = np.repeat(data[0][:, -1:], HORIZON, axis=1)
    np.testing.assert_allclose(normalizer.reference_chunk(data[0]), stays, atol=1e-12)


def test_the_reference_leads_back_to_the_surface(data):
    observations, chunks = data
    normalizer = fitted(data, LOW)
    reference = normalizer.reference_chunk(observations)
    assert np.abs(reference - chunks).mean() < 0.05  # of a range of six
    off = observations + np.array([0.0, 0.0, 0.02])
    moved = normalizer.reference_chunk(off) - reference
    assert np.abs(moved[..., 2]).mean() < 0.5 * 0.02


@pytest.mark.parametrize("n_obs_steps", [1, 2])
def test_it_survives_json(data, n_obs_steps):
    normalizer = fitted(data, LOW, n_obs_steps)
    assert normalizer.difference_std.shape == (n_obs_steps - 1, DIM)
    again = Normalizer.from_dict(json.loads(json.dumps(normalizer.to_dict())))
    for name, value in vars(normalizer).items():
        np.testing.assert_array_equal(vars(again)[name], value)
    window, chunk = data[0][0, -n_obs_steps:], data[1][0]
    assert again.sizes == (DIM, n_obs_steps * DIM, LOW)
    assert again.features(window).shape == (n_obs_steps * DIM,)
    np.testing.assert_allclose(again.normalize(chunk, window), normalizer.normalize(chunk, window))


def test_it_refuses_what_is_missing_and_other_versions(data):
    raw = fitted(data, LOW).to_dict()
    del raw["chunk_std"]
    with pytest.raises(UserError, match="lacks chunk_std"):
        Normalizer.from_dict(raw)
    with pytest.raises(UserError, match="format version 1"):
        Normalizer.from_dict(raw | {"format_version": 1})


def test_a_dimension_that_never_moves_is_not_divided_by_zero():
    still = np.ones((50, 2, 2))
    normalizer = Normalizer.fit(still, np.ones((50, 3, 2)), 6, np.random.default_rng(0))
    assert np.isfinite(normalizer.normalize(np.ones((3, 2)), still[0])).all()


def test_a_linear_reference_has_no_products_and_does_not_fit_noise():
    """Twelve joints and forty windows: 144 products explain whatever is asked of them."""
    rng = np.random.default_rng(0)
    observations, noise = rng.normal(size=(440, 1, 12)), rng.normal(size=(440, HORIZON, 12))
    chunks = observations + 0.1 * noise
    left = {}
    for degree in (1, 2):
        normalizer = Normalizer.fit(observations[:40], chunks[:40], 12, rng, degree)
        off = chunks[40:] - normalizer.reference_chunk(observations[40:])
        left[degree] = off.std()
        assert normalizer.reference[13:].any() == (degree == 2)
    assert left[1] < 0.15 < 2.0 * left[1] < left[2]
