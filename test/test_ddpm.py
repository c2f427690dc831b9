"""DDPMs behind the same denoiser: schedule, conversions and optimal networks in closed form."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from vdd_ros.policies.cosine import LARGEST_BETA, level_sigmas, sigma_at, time_at
from vdd_ros.policies.denoiser import Denoiser, score
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.predictions import clean_of, prediction_of
from vdd_ros.policies.teacher import TeacherConfig

DDPM = ["epsilon", "x0", "v"]
DIM = 3
SIZES = ("n_obs_steps", "horizon", "rank", "width", "blocks", "heads")


def normal(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def alpha_bar(time: Tensor) -> Tensor:
    """Nichol and Dhariwal 2021, eq. 17."""

    def f(t: Tensor) -> Tensor:
        return torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    return f(time) / f(torch.zeros_like(time))


def test_the_schedule_is_the_published_one():
    time = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
    expected = ((1 - alpha_bar(time)) / alpha_bar(time)).sqrt()
    torch.testing.assert_close(sigma_at(time), expected, rtol=1e-9, atol=0.0)


def test_time_and_noise_level_are_each_other_s_inverse():
    time = torch.linspace(0.0, 0.9999, 1001, dtype=torch.float64)
    torch.testing.assert_close(time_at(sigma_at(time)), time, rtol=0.0, atol=1e-14)
    sigma = torch.logspace(-5, 4, 300, dtype=torch.float64)
    torch.testing.assert_close(sigma_at(time_at(sigma)), sigma, rtol=1e-8, atol=0.0)
    single = time_at(sigma.float()).double()
    torch.testing.assert_close(single, time_at(sigma), rtol=0.0, atol=2e-7)


@pytest.mark.parametrize("count", [2, 16, 100])
def test_levels_are_those_of_betas_multiplied_up(count):
    """As DDPMs write it: betas from ratios of alpha_bar, none above .999, and their products."""
    bars = alpha_bar(torch.linspace(0.0, 1.0, count + 1, dtype=torch.float64))
    betas = (1 - bars[1:] / bars[:-1]).clamp(max=LARGEST_BETA)
    product = (1 - betas).cumprod(0)
    torch.testing.assert_close(
        level_sigmas(count), ((1 - product) / product).sqrt(), rtol=1e-6, atol=0.0
    )


@pytest.mark.parametrize("kind", DDPM)
def test_conversions_are_each_other_s_inverse(kind):
    clean, xi = normal(50, DIM, seed=0), normal(50, DIM, seed=1)
    sigma = torch.logspace(-2, 2, 50, dtype=torch.float64)
    x = clean + sigma[:, None] * xi
    predicted = prediction_of(kind, clean, x, sigma)
    torch.testing.assert_close(clean_of(kind, predicted, x, sigma), clean)
    anything = normal(50, DIM, seed=2)
    back = prediction_of(kind, clean_of(kind, anything, x, sigma), x, sigma)
    torch.testing.assert_close(back, anything)
    alpha, beta = 1 / (1 + sigma[:, None] ** 2).sqrt(), (sigma / (1 + sigma**2).sqrt())[:, None]
    known = {"epsilon": xi, "x0": clean, "v": alpha * xi - beta * clean}
    torch.testing.assert_close(predicted, known[kind])


class OptimalNet(nn.Module):
    """The best epsilon, x0 or v for data N(m, S): means given z = alpha x."""

    def __init__(self, kind: str, mean: Tensor, covariance: Tensor):
        super().__init__()
        self.kind, self.mean, self.covariance = kind, mean, covariance

    def forward(self, z: Tensor, time: Tensor, cond: Tensor) -> Tensor:
        signal = alpha_bar(time)[:, None]
        alpha, beta = signal.sqrt(), (1 - signal).sqrt()
        noise = torch.eye(DIM, dtype=z.dtype)
        of_z = alpha[..., None] ** 2 * self.covariance + beta[..., None] ** 2 * noise
        pulled = torch.linalg.solve(of_z, (z - alpha * self.mean)[..., None])[..., 0]
        epsilon = beta * pulled
        x0 = self.mean + alpha * pulled @ self.covariance
        return {"epsilon": epsilon, "x0": x0, "v": alpha * epsilon - beta * x0}[self.kind]


@pytest.mark.parametrize("kind", DDPM)
def test_whatever_a_network_predicts_the_score_is_that_of_the_data(kind):
    mean, root = normal(DIM, seed=0), normal(DIM, DIM, seed=1)
    covariance = root @ root.T + 0.1 * torch.eye(DIM, dtype=torch.float64)
    denoiser = Denoiser(OptimalNet(kind, mean, covariance), prediction=kind)
    sigma = torch.logspace(-1.5, 1.5, 40, dtype=torch.float64)
    x = (mean + (1 + sigma[:, None]) * normal(40, DIM, seed=2)).requires_grad_()
    noised = covariance + sigma[:, None, None] ** 2 * torch.eye(DIM, dtype=torch.float64)
    density = MultivariateNormal(mean, noised).log_prob(x)
    (expected,) = torch.autograd.grad(density.sum(), x)
    found = score(denoiser, x, sigma, torch.zeros(40, 1))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    posterior = mean + torch.einsum("bij,bj->bi", covariance @ torch.linalg.inv(noised), x - mean)
    torch.testing.assert_close(denoiser.denoise(x, sigma, torch.zeros(40, 1)), posterior)


@pytest.mark.parametrize("kind", DDPM)
def test_the_loss_asks_at_every_level_alike_and_is_zero_for_what_is_to_be_predicted(kind):
    """Data of one point: a network that knows it knows the noise too."""
    point, levels, times = normal(DIM, seed=0), 8, []

    class Knowing(OptimalNet):
        def forward(self, z, time, cond):
            times.append(time)
            return super().forward(z, time, cond)

    net = Knowing(kind, point, torch.zeros(DIM, DIM, dtype=torch.float64))
    denoiser = Denoiser(net, prediction=kind, levels=levels)
    chunks = point.expand(8000, DIM)
    generator = torch.Generator().manual_seed(0)
    loss = denoising_loss(denoiser, chunks, torch.zeros(8000, 1), NoiseConfig(), generator)
    assert loss < 1e-12
    index = (times[0] * levels).round().long()
    torch.testing.assert_close(sigma_at(times[0]), level_sigmas(levels)[index - 1])
    shares = np.bincount(index, minlength=levels + 1)[1:] / 8000
    assert np.abs(shares - 1 / levels).max() < 0.015


@pytest.mark.parametrize("kind", DDPM)
def test_the_loss_is_the_mean_square_of_what_is_missing(kind):
    """Of nothing predicted: for unit data all three are of unit variance."""

    class Nothing(nn.Module):
        def forward(self, z, time, cond):
            return torch.zeros_like(z)

    denoiser = Denoiser(Nothing(), prediction=kind)
    generator = torch.Generator().manual_seed(0)
    chunks = normal(20_000, DIM, seed=0)
    loss = denoising_loss(denoiser, chunks, torch.zeros(20_000, 1), NoiseConfig(), generator)
    assert loss == pytest.approx(1.0, abs=0.02)


def test_a_ddpm_is_sampled_within_its_levels_and_an_edm_as_set():
    noise = NoiseConfig(sigma_min=0.01, sigma_max=500.0)
    assert TeacherConfig(noise=noise).sampling_noise == noise
    few = TeacherConfig(noise=noise, prediction="v", levels=10).sampling_noise
    lowest, highest = level_sigmas(10)[[0, -1]].tolist()
    assert (few.sigma_min, few.sigma_max) == (lowest, highest) and highest < 500.0
    assert TeacherConfig(noise=noise, prediction="v").sampling_noise == noise


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        *(({name: 0}, f"must be 1 or more.*: {name}=0$") for name in SIZES),
        ({"octaves": -1}, "octaves 0 or more.*: octaves=-1$"),
        ({"sigma_data": 0.0}, "sigma_data positive: sigma_data=0.0$"),
        ({"net": "cnn"}, "net is one of"),
        ({"prediction": "flow"}, "prediction is one of"),
        ({"levels": 1}, "levels must be 2"),
        ({"net": "transformer", "width": 30}, "does not divide into 4 heads"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        TeacherConfig(**wrong)
