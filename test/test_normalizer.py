"""Normalizer: its mirror, its change of volume, and a reference that leads back to the data."""

import json

import numpy as np
import pytest

from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, 2, 3) on the surface x2 = 0.5 x0 x1 and chunks (N, 4, 3) that move along it."""
    rng = np.random.default_rng(0)
    start, velocity = rng.normal(size=(2000, 2)), 0.1 * rng.normal(size=(2000, 2))
    times = np.arange(-1, 4)[:, None]
    flat = start[:, None] + times * velocity[:, None]
    points = np.concatenate([flat, 0.5 * flat[..., :1] * flat[..., 1:]], axis=-1)
    return points[:, :2], points[:, 1:]


@pytest.fixture(scope="module")
def normalizer(data) -> Normalizer:
    return Normalizer.fit(*data, np.random.default_rng(1))


def test_unnormalize_mirrors_normalize(data, normalizer):
    observations, chunks = data
    normalized = normalizer.normalize(chunks, observations)
    np.testing.assert_allclose(normalizer.unnormalize(normalized, observations), chunks, atol=1e-12)
    assert normalized.mean((0,)) == pytest.approx(0.0, abs=1e-9)
    one = normalizer.normalize(chunks[0], observations[0])
    np.testing.assert_allclose(one, normalized[0])


def test_log_volume_is_the_change_from_normalized_to_standardised(data, normalizer):
    observations, chunks = data
    moved = chunks + 0.01
    step = normalizer.normalize(moved, observations) - normalizer.normalize(chunks, observations)
    standard = normalizer.standardize(moved) - normalizer.standardize(chunks)
    np.testing.assert_allclose(np.log(standard / step)[0], normalizer.log_volume)


def test_the_reference_leads_back_to_the_surface(data, normalizer):
    observations, chunks = data
    reference = normalizer.reference_chunk(observations)
    assert np.abs(reference - chunks).mean() < 0.05  # of a range of six
    off = observations + np.array([0.0, 0.0, 0.02])
    moved = normalizer.reference_chunk(off) - reference
    assert np.abs(moved[..., 2]).mean() < 0.5 * 0.02


def test_it_survives_json_and_refuses_what_is_missing(normalizer):
    raw = json.loads(json.dumps(normalizer.to_dict()))
    again = Normalizer.from_dict(raw)
    np.testing.assert_array_equal(again.reference, normalizer.reference)
    del raw["chunk_std"]
    with pytest.raises(UserError, match="lacks chunk_std"):
        Normalizer.from_dict(raw)
    with pytest.raises(UserError, match="format version 7"):
        Normalizer.from_dict(raw | {"format_version": 7})


def test_a_dimension_that_never_moves_is_not_divided_by_zero():
    still = np.ones((50, 2, 2))
    fitted = Normalizer.fit(still, np.ones((50, 3, 2)), np.random.default_rng(0))
    assert np.isfinite(fitted.normalize(np.ones((3, 2)), still[0])).all()
