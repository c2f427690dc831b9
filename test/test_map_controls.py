"""Mistakes that must be seen to fail: if one of these passed, a figure would mean nothing."""

from dataclasses import dataclass, replace

import pytest
import torch
from g6_beginning import G6, beginning, judged

from vdd_ros.policies.beds.controls import CONTROLS
from vdd_ros.policies.beds.distilled import distilled
from vdd_ros.policies.objectives.ctm import Ctm, destination
from vdd_ros.policies.training import TrainingConfig

SHORT = TrainingConfig(steps=600, batch_size=512, learning_rate=1e-3, ema_decay=0.98)


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [
        CONTROLS["kd-unpaired"](),
        CONTROLS["progressive-not-nested"](steps=8),
        CONTROLS["cd-unbounded"](metric="square", weight="uniform"),
        DenoisesJumps(levels=18, denoising=1.0),
    ],
    ids=["unpaired", "grids", "boundary", "denoised"],
)
def test_a_mistake_is_seen_in_the_figures(objective):
    begin, data = beginning()
    losses = []
    student = distilled(
        G6, begin, objective, data, SHORT, lambda step, steps, loss: losses.append(loss)
    )
    found = judged(objective, student)
    assert found["cov"] <= 1 and found["off"] > 0.8 and found["sw2"] > 0.2
    assert losses[-1] < 1.0
