"""Distilling on a test bed: the exact teacher, a net fitted to it as a beginning, the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vdd_ros.policies.beds.bed import Bed
from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.nets import DenoiserNet
from vdd_ros.policies.noise import log_uniform, noised
from vdd_ros.policies.objectives import STUDENT, Paired, fit
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import QUIET, Report, TrainingConfig, train

FLOW = SamplerConfig("heun", 18, sigma_last=0.01)  # the exact teacher's ODE, for pairs and ends


@dataclass(frozen=True)
class NetConfig:
    """Of the net that begins as the exact denoiser and is distilled into; sigma_data: of a bed."""

    width: int = 128
    blocks: int = 3
    octaves: int = 3
    sigma_data: float = 0.7

    def make(self, bed: Bed, boundary: float = 0.0) -> Denoiser:
        """Untrained; boundary: of a consistency function."""
        net = DenoiserNet(bed.dim, 1, 1, self.width, self.blocks, self.octaves)
        return Denoiser(net, self.sigma_data, boundary=boundary)


class _Examples(NamedTuple):
    cond: Tensor
    chunks: Tensor


def fitted(
    bed: Bed, config: NetConfig, training: TrainingConfig, report: Report = QUIET
) -> Denoiser:
    """A net that says what the exact denoiser says, at levels evenly spread in ln sigma.

    It is fitted to the denoiser instead of the chunks that were noised: the target then has no
    variance that cannot be learned away.
    """
    generator = torch.Generator().manual_seed(training.seed)
    torch.manual_seed(training.seed)
    net, noise, teacher = config.make(bed), bed.noise, bed.teacher
    cond = bed.observe(65_536, generator)
    chunks = bed.mixture(cond).sample(1, generator)[:, 0]

    def loss(batch: _Examples, progress: float, generator: torch.Generator) -> Tensor:
        sigma = log_uniform(noise.sigma_min, noise.sigma_max, len(batch.cond), generator)
        x = noised(batch.chunks, sigma, generator)
        with torch.no_grad():
            aim = teacher.denoise(x, sigma, batch.cond)
        weight = (sigma**2 + net.sigma_data**2) / (sigma * net.sigma_data) ** 2
        return (weight * (net(x, sigma, batch.cond) - aim).square().mean(1)).mean()

    nets = Nets({STUDENT: net}, training.ema_decay)
    player = Player(STUDENT, parameters_of(net), loss)
    net.load_state_dict(train(nets, [player], _Examples(cond, chunks), training, report=report))
    return net.eval()


@torch.no_grad()
def pairs(bed: Bed, count: int, seed: int, teacher: ScoreModel | None = None) -> Paired:
    """Observations with a demonstration, a start and where the exact ODE leads from it; teacher:
    asked in the exact one's place, as one that counts."""
    generator = torch.Generator().manual_seed(seed)
    cond = bed.observe(count, generator)
    demos = bed.mixture(cond).sample(1, generator)[:, 0]
    starts = bed.noise.sigma_max * torch.randn(count, bed.dim, generator=generator)
    ends = flow(bed, starts, cond, teacher)
    return Paired(cond, ends, demos, starts)


def flow(
    bed: Bed,
    starts: Tensor,
    cond: Tensor,
    teacher: ScoreModel | None = None,
    sampler: SamplerConfig = FLOW,
) -> Tensor:
    """(N, D): where the exact ODE leads, in batches that stay in a processor's cache."""
    sigmas, model = sampler.sigmas(bed.noise), teacher or bed.teacher
    parts = zip(starts.split(4096), cond.split(4096), strict=True)
    return torch.cat([SAMPLERS[sampler.name](model.denoise, x, sigmas, c) for x, c in parts])


def distilled(
    bed: Bed,
    begin: Denoiser,
    objective: FewStep,
    data: Paired,
    training: TrainingConfig,
    report: Report = QUIET,
    teacher: ScoreModel | None = None,
) -> Denoiser:
    """A net that began as `begin` after training by an objective on the exact teacher; teacher: as
    `pairs` has it."""
    torch.manual_seed(training.seed)  # of what begins at random
    student, model = objective.student(begin), teacher or bed.teacher
    student.load_state_dict(fit(student, model, data, objective, training, report=report))
    return student.eval()
