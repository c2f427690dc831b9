"""One Gaussian, of which all that a diffusion does is known in closed form."""

import torch

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.objectives import Batch
from vdd_ros.policies.oracle import OracleTeacher

MU, SPREAD = 0.7, 0.3
LOW, HIGH = 0.01, 10.0


def gaussian(cond):
    means = cond.new_full((len(cond), 1, 2), MU)
    return GaussianMixture(cond.new_zeros(len(cond), 1), means, Diagonal(means * 0 + SPREAD))


TEACHER = OracleTeacher(gaussian)


def a_batch(count=256):
    generator = torch.Generator().manual_seed(0)
    cond = torch.zeros(count, 1)
    demos = gaussian(cond).sample(1, generator)[:, 0]
    return Batch(cond, demos, demos), generator


def flowed(x, high, low):
    """Where the exact ODE leads from levels high to low, (B,) or (1,)."""
    ratio = ((SPREAD**2 + low**2) / (SPREAD**2 + high**2)).sqrt()
    return MU + (x - MU) * ratio[:, None]


class EndOfFlow(torch.nn.Module):
    """Where the exact ODE leads from any level, down to `low`."""

    def __init__(self, low=LOW):
        super().__init__()
        self.low = torch.tensor([low])

    def forward(self, x, sigma, cond):
        return flowed(x, sigma, self.low)

    denoise = forward
