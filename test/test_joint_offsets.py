"""Joint offsets from paired still poses: planted truth, outliers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from planted_arms import CONTRACT, LOWER, UPPER

from vdd_ros.calibration.joint_offsets import PairedPoses, offsets_of
from vdd_ros.calibration.robust import location_of
from vdd_ros.calibration_parts import Source
from vdd_ros.errors import UserError

SIGNS = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0])
OFFSETS = np.array([0.1, -2.5, 0.0, 3.0, 1.5, -0.01, 0.7])


def planted(seed=0, noise=0.0, poses=20) -> PairedPoses:
    rng = np.random.default_rng(seed)
    true = rng.uniform(LOWER, UPPER, (poses, 7))
    encoder = SIGNS * (true - OFFSETS) + noise * rng.standard_normal(true.shape)
    return PairedPoses(CONTRACT.joints, encoder, true + noise * rng.standard_normal(true.shape))


def changed(pairs: PairedPoses, **arrays) -> PairedPoses:
    whole = {"encoder": pairs.encoder, "reference": pairs.reference, **arrays}
    return PairedPoses(pairs.joints, whole["encoder"].copy(), whole["reference"].copy())


def test_without_noise_signs_and_offsets_are_exact():
    found = offsets_of(planted())
    assert found.signs.tolist() == SIGNS.tolist()
    np.testing.assert_allclose(found.offsets, OFFSETS, atol=1e-12)


def test_with_gaussian_noise_the_estimate_is_the_mean_and_its_covariance_the_one_stated():
    noise, squared, stated = 1e-3, [], []
    for seed in range(200):
        pairs = planted(seed, noise)
        found = offsets_of(pairs)
        if found.used.all():
            mean = (pairs.reference - SIGNS * pairs.encoder).mean(0)
            np.testing.assert_allclose(found.offsets, mean, atol=1e-12)
        squared.append((found.offsets - OFFSETS) ** 2)
        stated.append(np.diag(found.covariance))
    least = 2.0 * noise**2 / 20  # Cramer and Rao's bound, which the sample mean reaches
    assert np.mean(squared) == pytest.approx(least, rel=0.1)
    assert np.mean(stated) == pytest.approx(least, rel=0.1)


def test_thirty_percent_of_gross_outliers_are_left_out():
    pairs = planted(noise=1e-3)
    rng = np.random.default_rng(1)
    bad = np.argsort(rng.random((20, 7)), axis=0) < 6
    reference = pairs.reference + np.where(bad, 0.5, 0.0)  # all to one side, the hardest
    found = offsets_of(changed(pairs, reference=reference))
    assert (found.used == ~bad).all()
    assert np.abs(found.offsets - OFFSETS).max() < 4.0 * np.sqrt(2.0 * 1e-6 / 14)


def test_joints_that_err_together_have_offsets_that_do():
    rng = np.random.default_rng(2)
    pairs = planted()
    together = 1e-3 * rng.standard_normal((20, 1))
    found = offsets_of(changed(pairs, reference=pairs.reference + together))
    std = np.sqrt(np.diag(found.covariance))
    np.testing.assert_allclose(found.covariance / np.outer(std, std), 1.0, atol=1e-6)


def test_a_section_says_it_all():
    found = offsets_of(planted(noise=1e-3))
    section = found.section("2026-05-31T12:00:00+00:00", Source(method="made up", count=20))
    elbow = section.joints["panda_joint4"]
    assert elbow.sign == 1 and elbow.offset == pytest.approx(3.0, abs=2e-3)
    assert 0.0 < elbow.std < elbow.residuals.rms < elbow.residuals.cross_validated
    assert np.array(section.covariance).shape == (7, 7)


@pytest.mark.parametrize("count", [8, 20])
def test_few_poses_are_not_said_to_be_better_known_than_they_are(count):
    """Errors in units of the stated deviation: of a mean, Student's distribution."""
    rng, squared = np.random.default_rng(1), []
    for _ in range(2000):
        found = location_of(rng.standard_normal(count))
        std = found.scatter / np.sqrt(found.used.sum())
        squared.append((found.center / std) ** 2)
    expected = (count - 1) / (count - 3)  # the variance of Student's distribution
    assert np.mean(np.sort(squared)[:-20]) < 1.15 * expected


def test_robust_location_of_few_and_of_equal_numbers():
    assert location_of(np.array([2.0, 2.0, 2.0, 9.0])).center == 2.0
    assert location_of(np.full(5, -1.25)).scatter == 0.0


def degrees(pairs):
    return changed(pairs, reference=np.degrees(pairs.reference))


def swapped(pairs):
    return changed(pairs, encoder=pairs.encoder[:, [0, 2, 1, 3, 4, 5, 6]])


def standing(pairs):
    encoder, reference = pairs.encoder.copy(), pairs.reference.copy()
    encoder[:, 3], reference[:, 3] = encoder[0, 3], reference[0, 3]
    return changed(pairs, encoder=encoder, reference=reference)


def unrelated(pairs):
    return changed(pairs, reference=np.random.default_rng(3).uniform(LOWER, UPPER, (20, 7)))


def turned(pairs):
    reference = pairs.reference.copy()
    reference[:8, 0] -= 2.0 * np.pi
    return changed(pairs, reference=reference)


def few(pairs):
    return changed(pairs, encoder=pairs.encoder[:4], reference=pairs.reference[:4])


def broken(pairs):
    encoder = pairs.encoder.copy()
    encoder[3, 3] = np.nan
    return changed(pairs, encoder=encoder)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (degrees, "57.3 times as far as its encoder.*degrees"),
        (swapped, "the reference of panda_joint2 moves with the encoder of panda_joint3"),
        (standing, "panda_joint4 moved by 0 rad over all poses, too little"),
        (unrelated, "do not move together"),
        (turned, "a full turn further apart in 8 of 20 poses"),
        (few, "4 poses are too few"),
        (broken, "not finite"),
    ],
)
def test_degenerate_poses_are_refused_with_the_reason(spoil, complaint):
    with pytest.raises(UserError, match=complaint):
        offsets_of(spoil(planted(noise=1e-3)))


def test_what_mostly_contradicts_itself_is_refused():
    pairs = planted(noise=1e-3)
    reference = pairs.reference.copy()
    reference[:9, 2] += np.linspace(0.2, 2.0, 9)
    with pytest.raises(UserError, match="panda_joint3: 9 of 19 poses do not fit|9 of 20 poses"):
        offsets_of(PairedPoses(pairs.joints, pairs.encoder[:19], reference[:19]), SIGNS.astype(int))
