"""Mistakes that must be seen to fail: if one of these passed, a figure would mean nothing."""

from dataclasses import dataclass, replace

import pytest
import torch
from g6_beginning import G6, beginning

from vdd_ros.policies.beds.distilled import NetConfig, distilled, judged
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.objectives.consistency import Cd
from vdd_ros.policies.objectives.ctm import Ctm, destination
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.objectives.progressive import Progressive
from vdd_ros.policies.spacing import sigma_grid
from vdd_ros.policies.training import TrainingConfig

SHORT = TrainingConfig(steps=600, batch_size=512, learning_rate=1e-3, ema_decay=0.98)


class GridsMadeAnew(Progressive):
    """Levels of each phase that are not among those of the phase before."""

    def grid(self, phase):
        return sigma_grid(self.noise, self.steps // 2**phase).float()


class NoBoundary(Cd):
    """A function that nothing ties to its input at the lowest level."""

    def student(self, begin):
        torch.manual_seed(0)
        return Denoiser(NetConfig().make(G6).net, prediction="x0")


@dataclass(frozen=True)
class DenoisesJumps(Ctm):
    """The denoiser's loss put on the jump to the end instead of on the jump to nowhere."""

    def jump_loss(self, student, held, teacher, batch, generator):
        plain = replace(self, denoising=0.0)
        loss = Ctm.jump_loss(plain, student, held, teacher, batch, generator)
        sigma = self.sigmas[:1].float().expand(len(batch.demos))
        x = batch.demos + sigma[:, None] * torch.randn(batch.demos.shape, generator=generator)
        found = destination(student, x, sigma, self.sigmas[-1:].float(), batch.cond)
        return loss + self.denoising * (found - batch.demos).square().mean()


def unpaired(data):
    return data._replace(starts=data.starts.flip(0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "spoil"),
    [
        (Kd(), unpaired),
        (GridsMadeAnew(steps=8), None),
        (NoBoundary(metric="square", weight="uniform"), None),
        (DenoisesJumps(levels=18, denoising=1.0), None),
    ],
    ids=["unpaired", "grids", "boundary", "denoised"],
)
def test_a_mistake_is_seen_in_the_figures(objective, spoil):
    begin, data = beginning()
    data = spoil(data) if spoil else data
    losses = []
    student = distilled(
        G6, begin, objective, data, SHORT, lambda step, steps, loss: losses.append(loss)
    )
    found = judged(G6, objective, student)
    assert found["cov"] <= 1 and found["off"] > 0.8 and found["sw2"] > 0.2
    assert losses[-1] < 1.0
