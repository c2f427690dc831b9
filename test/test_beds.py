"""Test beds: floors, what fails must be seen to fail, and an observation that is ignored."""

import numpy as np
import pytest
import torch

from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.look import density, true_chunks
from vdd_ros.policies.beds.t2 import smooth_motions
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.spacing import sigma_grid

COUNT = 4000


def observed(bed, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return bed.observe(COUNT, generator).double(), generator


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_fresh_samples_are_at_the_floor(bed):
    cond, generator = observed(bed)
    found = bed.figures(bed.mixture(cond).sample(1, generator)[:, 0], cond)
    assert found["cov"] == bed.modes and found["tv"] < 0.03 and found["off"] < 0.005
    assert found["stdr"] == pytest.approx(1.0, abs=0.03)
    assert abs(found["ed"]) < 0.01 and found["sw2"] < 0.12 and found["prmse"] is None


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_the_exact_flow_keeps_modes_and_is_nought_from_itself(bed):
    cond, generator = observed(bed)
    start = bed.noise.sigma_max * torch.randn(COUNT, bed.dim, generator=generator).double()
    ends = SAMPLERS["heun"](bed.teacher.denoise, start, sigma_grid(bed.noise, 18), cond)
    found = bed.figures(ends, cond, ends)
    assert found["cov"] == bed.modes and found["off"] < 0.01 and found["prmse"] == 0.0
    few = SAMPLERS["euler"](bed.teacher.denoise, start, sigma_grid(bed.noise, 4), cond)
    assert bed.figures(few, cond, ends)["prmse"] > 0.08


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_the_mean_of_everything_fails(bed):
    cond, _ = observed(bed)
    mixture = bed.mixture(cond)
    mean = (mixture.log_weights.exp()[..., None] * mixture.means).sum(1)
    found = bed.figures(mean, cond)
    assert found["cov"] < bed.modes and found["tv"] > 0.2 and found["ed"] > 0.3
    assert found["off"] > 0.2


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_who_ignores_the_observation_is_told_from_who_heeds_it(bed):
    cond, generator = observed(bed)
    blind = bed.mixture(cond[torch.randperm(COUNT, generator=generator)])
    found = bed.figures(blind.sample(1, generator)[:, 0], cond)
    assert found["off"] > 0.05


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_one_mode_of_several_is_not_covering(bed):
    cond, generator = observed(bed)
    mixture = bed.mixture(cond)
    only = mixture._replace(log_weights=torch.full_like(mixture.log_weights, -torch.inf))
    only.log_weights[:, 0] = 0.0
    found = bed.figures(only.sample(1, generator)[:, 0], cond)
    assert found["cov"] == 1 and found["tv"] >= 0.29 and found["off"] < 0.01


def test_plans_that_are_mixed_collide_and_switch():
    bed = BEDS["t2"]
    cond, generator = observed(bed)
    drawn = bed.mixture(cond).sample_components(1, generator)[:, :, 0]  # (B, 2, 32), one a way
    half = bed.dim // 2
    switched = bed.figures(torch.cat([drawn[:, 0, :half], drawn[:, 1, half:]], 1), cond)
    assert switched["switch"] > 0.99 and switched["off"] > 0.99
    blended = bed.figures(drawn.mean(1), cond)
    assert blended["collide"] > 0.9 and blended["off"] > 0.9


def test_smooth_motions_are_orthonormal_and_the_mixture_has_their_variance():
    basis = smooth_motions()
    torch.testing.assert_close(basis.mT @ basis, torch.eye(6, dtype=torch.float64))
    root = BEDS["t2"].mixture(torch.zeros(1, 1, dtype=torch.float64)).covariance.root()[0, 0]
    along = (basis.mT @ root).square().sum(1).sqrt()
    expected = torch.full((6,), 0.06**2 * 16 + 0.02**2, dtype=torch.float64).sqrt()
    torch.testing.assert_close(along, expected)


def test_the_picture_of_a_bed_is_highest_at_its_highest_point_and_upright():
    """Which is told from its reflections by where the modes are."""
    reach, pixels = 1.45, 59
    shown = density("g6", reach, pixels)
    mixture = BEDS["g6"].mixture(torch.zeros(1, 1))
    modes = mixture.means[0]
    heights = mixture.log_prob(modes[None])[0].exp()
    assert shown.shape == (pixels, pixels) and shown.max() == 1.0 and shown.min() >= 0.0
    across = np.linspace(-reach, reach, pixels)
    columns, rows = (np.abs(modes[:, axis, None].numpy() - across).argmin(1) for axis in (0, 1))
    found = shown[rows, columns] / shown[rows, columns].max()
    np.testing.assert_allclose(found, heights / heights.max(), atol=0.2)


def test_true_chunks_are_the_beds_own_at_an_observation_of_nought():
    chunks = true_chunks("t2", COUNT)
    assert chunks.shape == (COUNT, BEDS["t2"].dim)
    np.testing.assert_array_equal(chunks, true_chunks("t2", COUNT))
    found = BEDS["t2"].figures(torch.from_numpy(chunks).double(), torch.zeros(COUNT, 1).double())
    assert found["cov"] == BEDS["t2"].modes and found["off"] < 0.01 and found["tv"] < 0.03
