"""Preconditioning against closed forms for Gaussian data."""

import math

import torch

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.denoiser import Denoiser, score
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.nets import DenoiserNet, ObservationFeatures
from vdd_ros.policies.oracle import OracleTeacher

MU, SPREAD = 0.7, 0.3


def gaussian_teacher() -> OracleTeacher:
    def mixture_of(cond):
        means = cond.new_full((len(cond), 1, 2), MU)
        covariance = Diagonal(torch.full_like(means, SPREAD))
        return GaussianMixture(cond.new_zeros(len(cond), 1), means, covariance)

    return OracleTeacher(mixture_of)


def test_a_net_of_zero_leaves_the_optimal_linear_denoiser():
    """For N(0, sigma_data^2) data the best denoiser is c_skip x (Karras et al. 2022, B.6)."""
    net = DenoiserNet(3, newest_dim=1, cond_dim=2, width=8, blocks=1, octaves=1)
    denoiser = Denoiser(net.double(), sigma_data=0.5)
    x = torch.randn(4, 3, dtype=torch.float64)
    cond = torch.zeros(4, 2, dtype=torch.float64)
    sigma = torch.tensor([0.01, 0.5, 2.0, 40.0], dtype=torch.float64)
    expected = x * (0.25 / (sigma**2 + 0.25))[:, None]
    torch.testing.assert_close(denoiser.denoise(x, sigma, cond), expected)
    torch.testing.assert_close(score(denoiser, x, sigma, cond), -x / (sigma**2 + 0.25)[:, None])


def test_waves_are_made_of_the_newest_observation_alone():
    cond = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    features = ObservationFeatures(newest_dim=2, cond_dim=5, octaves=3)
    found = features(cond)
    phase = cond[:, :2, None] * math.pi * torch.tensor([0.5, 1.0, 2.0])
    waves = torch.cat([phase.sin().flatten(1), phase.cos().flatten(1)], 1)
    torch.testing.assert_close(found, torch.cat([cond[:, :2], waves, cond[:, 2:]], 1))
    assert found.shape[1] == features.size


def test_the_oracle_denoiser_is_the_posterior_mean():
    x = torch.randn(5, 2, dtype=torch.float64)
    sigma = torch.linspace(0.1, 3.0, 5, dtype=torch.float64)
    clean = gaussian_teacher().denoise(x, sigma, torch.zeros(5, 1, dtype=torch.float64))
    shrink = (SPREAD**2 / (SPREAD**2 + sigma**2))[:, None]
    torch.testing.assert_close(clean, MU + shrink * (x - MU))
