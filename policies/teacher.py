"""The teacher: a diffusion policy over action chunks, and how it is asked for one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import get_args

import torch
from torch import Tensor, nn

from vdd_ros.policies.cosine import level_sigmas
from vdd_ros.policies.denoiser import Denoiser, Prediction
from vdd_ros.policies.device import CPU, computing, placed
from vdd_ros.policies.nets import DenoiserNet, NetKind, NetSizes
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.samplers import SAMPLERS, Denoise, drawing
from vdd_ros.policies.settings import given
from vdd_ros.policies.spacing import SPACINGS, sigma_grid
from vdd_ros.policies.transformer import TransformerDenoiserNet, require_heads
from vdd_ros.policies.windows import WindowSizes

ROWS = 512  # sampled at a time, few enough to stay in a processor's cache


@dataclass(frozen=True)
class SamplerConfig:
    """name: one of SAMPLERS; steps: nodes above zero; sigma_last: the last positive node; spacing:
    one of SPACINGS.

    The last positive node matters as much as the solver at few steps: below the width of the data
    it spends network calls where nothing is left to decide.
    """

    name: str = "heun"
    steps: int = 9
    sigma_last: float = 0.03
    spacing: str = "rho"

    def __post_init__(self):
        if self.name not in SAMPLERS or self.steps < 1:
            raise ValueError(
                f"sampler must be one of {sorted(SAMPLERS)} with steps >= 1: {given(self)}"
            )
        if self.spacing not in SPACINGS:
            raise ValueError(f"spacing is one of {', '.join(SPACINGS)}: {given(self)}")

    @property
    def nfe(self) -> int | None:
        """Network evaluations per chunk, None where they depend on the chunk."""
        nfe = SAMPLERS[self.name].nfe
        return None if nfe is None else nfe(self.steps)

    def sigmas(self, noise: NoiseConfig) -> Tensor:
        """(steps + 1,) float64: the noise levels that it visits, then 0."""
        return sigma_grid(noise, self.steps, self.sigma_last, self.spacing)


@dataclass(frozen=True)
class TeacherConfig:
    """n_obs_steps: To; horizon: H, counted from the newest observation: step h of a chunk is the
    command h policy periods after the tick, and step 0 is the first executable one; rank and
    reference_degree: numbers that stand for a chunk, and its reference, see Normalizer;
    observation_noise: std of noise on standardised observations while training, also its students,
    which widens what few demonstrations know exactly; net: a perceptron, or a transformer, whose
    blocks have six times the weights, with so many heads; prediction: edm, or what a DDPM with the
    cosine schedule predicts; levels: of a DDPM. sigma_data and noise's log_mean and log_std are
    EDM's alone.

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
    net: NetKind = "mlp"
    heads: int = 4
    prediction: Prediction = "edm"
    levels: int = 1000  # of 100, the lowest is .025, above what students are asked to match

    @property
    def sizes(self) -> WindowSizes:
        """Of the windows that it learns from."""
        return WindowSizes(self.n_obs_steps, self.horizon)

    def __post_init__(self):
        if self.net not in get_args(NetKind):
            raise ValueError(f"net is one of {get_args(NetKind)}: {given(self)}")
        if self.prediction not in get_args(Prediction):
            raise ValueError(f"prediction is one of {get_args(Prediction)}: {given(self)}")
        sizes = self.n_obs_steps, self.horizon, self.rank, self.width, self.blocks, self.heads
        if min(sizes) < 1 or self.octaves < 0 or not self.sigma_data > 0.0:
            raise ValueError(
                "n_obs_steps, horizon, rank, width, blocks and heads must be 1 or more, octaves 0 "
                f"or more, sigma_data positive: {given(self)}"
            )
        if self.levels < 2:
            raise ValueError(f"levels must be 2 or more: {given(self)}")
        if self.net == "transformer":
            require_heads(self.width, self.heads)
        if self.reference_degree not in (0, 1, 2):
            raise ValueError(f"reference_degree is 0, 1 or 2: {given(self)}")
        if not self.observation_noise >= 0.0:
            raise ValueError(f"observation_noise must not be negative: {given(self)}")

    @property
    def sampling_noise(self) -> NoiseConfig:
        """`noise` as far as the network was trained: a DDPM knows no level beyond its own."""
        if self.prediction == "edm":
            return self.noise
        sigmas = level_sigmas(self.levels).tolist()
        low, high = max(sigmas[0], self.noise.sigma_min), min(sigmas[-1], self.noise.sigma_max)
        return replace(self.noise, sigma_min=low, sigma_max=high)


def make_teacher(
    config: TeacherConfig,
    newest_dim: int,
    cond_dim: int,
    dim: int,
    images: int = 0,
    image_dim: int = 0,
) -> Denoiser:
    """An untrained teacher for chunks that `dim` numbers stand for; sizes as those of NetSizes."""
    own = config.width, config.blocks, config.octaves
    sizes = NetSizes(newest_dim, cond_dim, dim, images, image_dim)
    net: nn.Module = (
        DenoiserNet(dim, newest_dim, cond_dim, *own)
        if config.net == "mlp"
        else TransformerDenoiserNet(sizes, *own, config.heads)
    )
    return Denoiser(net, config.sigma_data, config.prediction, config.levels)


@torch.no_grad()
def follow(
    denoise: Denoise,
    starts: Tensor,
    cond: Tensor,
    noise: NoiseConfig,
    sampler: SamplerConfig,
) -> Tensor:
    """(N, D), noise.sigma_max N(0, I), and (N, C) -> (N, D): where a sampler leads that adds no
    noise."""
    sigmas, sample = placed(sampler.sigmas(noise)), SAMPLERS[sampler.name]
    parts = zip(starts.split(ROWS), cond.split(ROWS), strict=True)
    with computing():
        chunks = [sample(denoise, placed(x), sigmas, placed(rows)).to(CPU) for x, rows in parts]
    return torch.cat(chunks)


@torch.no_grad()
def sample_chunks(
    denoise: Denoise,
    cond: Tensor,
    dim: int,
    noise: NoiseConfig,
    sampler: SamplerConfig,
    generator: torch.Generator,
) -> Tensor:
    """(N, C) -> (N, dim): one chunk per row, in normalised units."""
    sigmas = sampler.sigmas(noise)
    highest, sigmas = float(sigmas[0]), placed(sigmas)
    sample, draw = SAMPLERS[sampler.name], drawing(generator)
    chunks = []
    with computing():
        for rows in cond.split(ROWS):
            start = highest * torch.randn(len(rows), dim, generator=generator)
            chunks.append(sample(denoise, start, sigmas, placed(rows), draw).to(CPU))
    return torch.cat(chunks)
