"""Preconditioning and samplers against closed forms for Gaussian data."""

import math

import pytest
import torch

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.denoiser import Denoiser, score
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.nets import DenoiserNet, ObservationFeatures
from vdd_ros.policies.noise import NoiseConfig, karras_sigmas
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.samplers import dpmpp_2m, euler, heun

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


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2), (dpmpp_2m, 2)])
def test_order_of_convergence(sampler, order):
    """x(sigma) = mu + (x_T - mu) sqrt((s^2 + sigma^2) / (s^2 + sigma_T^2)) on one Gaussian.

    The exact last step to 0 is a jump to D, so the flow is compared at the last positive node.
    """
    config = NoiseConfig(sigma_min=0.05, sigma_max=5.0)
    x_start = (
        torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    )
    cond = torch.zeros(64, 1, dtype=torch.float64)
    ratio = math.sqrt((SPREAD**2 + 0.05**2) / (SPREAD**2 + 5.0**2))
    exact = MU + (x_start - MU) * ratio

    def error(steps):
        sigmas = karras_sigmas(config, steps)[:-1]
        end = sampler(gaussian_teacher().denoise, x_start.clone(), sigmas, cond)
        return (end - exact).norm().item()

    slope = math.log2(error(40) / error(80))
    assert slope == pytest.approx(order, abs=0.3)


def test_the_last_node_is_zero_and_the_first_is_sigma_max():
    sigmas = karras_sigmas(NoiseConfig(sigma_max=7.0), 5, sigma_last=0.2)
    assert sigmas[0] == pytest.approx(7.0) and sigmas[-2] == pytest.approx(0.2) and sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()
