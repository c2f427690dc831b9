"""The teacher: a diffusion policy over action chunks, and how it is asked for one."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.nets import DenoiserNet
from vdd_ros.policies.noise import NoiseConfig, karras_sigmas
from vdd_ros.policies.samplers import NFE, SAMPLERS, Denoise


@dataclass(frozen=True)
class SamplerConfig:
    """name: one of SAMPLERS; steps: nodes above zero; sigma_last: the last positive node.

    The last positive node matters as much as the solver at few steps: below the width of the data
    it spends network calls where nothing is left to decide.
    """

    name: str = "heun"
    steps: int = 9
    sigma_last: float = 0.03

    def __post_init__(self):
        if self.name not in SAMPLERS or self.steps < 1:
            raise ValueError(f"sampler must be one of {sorted(SAMPLERS)} with steps >= 1: {self}")

    @property
    def nfe(self) -> int:
        """Network evaluations per chunk."""
        return NFE[self.name](self.steps)


@dataclass(frozen=True)
class TeacherConfig:
    """n_obs_steps: To; horizon: H, counted from the newest observation: step h of a chunk is the
    command h policy periods after the tick, and step 0 is the first executable one; rank and
    reference_degree: numbers that stand for a chunk, and its reference, see Normalizer;
    observation_noise: std of noise on standardised observations while training, also its students,
    which widens what few demonstrations know exactly.

    One observation is enough where the arm is all there is to see. Two tell the speed, and a policy
    then learns to go on as it goes instead of where to go (de Haan et al. 2019).
    """

    n_obs_steps: int = 1
    horizon: int = 8
    rank: int = 32
    reference_degree: int = 2
    observation_noise: float = 0.0
    width: int = 320
    blocks: int = 4
    octaves: int = 4
    sigma_data: float = 1.0
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self):
        if self.reference_degree not in (0, 1, 2):
            raise ValueError(f"reference_degree is 0, 1 or 2: {self}")
        if not self.observation_noise >= 0.0:
            raise ValueError(f"observation_noise must not be negative: {self}")


def make_teacher(config: TeacherConfig, newest_dim: int, cond_dim: int, dim: int) -> Denoiser:
    """An untrained teacher for chunks that `dim` numbers stand for."""
    net = DenoiserNet(dim, newest_dim, cond_dim, config.width, config.blocks, config.octaves)
    return Denoiser(net, config.sigma_data)


@torch.no_grad()
def sample_chunks(
    denoise: Denoise,
    cond: Tensor,
    dim: int,
    noise: NoiseConfig,
    sampler: SamplerConfig,
    generator: torch.Generator,
    batch: int = 4096,
) -> Tensor:
    """(N, C) -> (N, dim): one chunk per row, in normalised units."""
    sigmas = karras_sigmas(noise, sampler.steps, sampler.sigma_last)
    chunks = []
    for rows in cond.split(batch):
        start = noise.sigma_max * torch.randn(len(rows), dim, generator=generator)
        chunks.append(SAMPLERS[sampler.name](denoise, start, sigmas, rows))
    return torch.cat(chunks)
