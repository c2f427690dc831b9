"""nfsd: sds without the noise that was added (Katzir et al. 2024), as far as a policy has it.

    g = delta_D + scale delta_C,    delta_C = eps_teacher(x_sigma; o) - eps_teacher(x_sigma)

delta_C leads to chunks that are likelier with the observation o than without. delta_D is what is
wrong with x as a chunk of any observation. The paper takes eps(x_sigma) for it at low noise, and
eps(x_sigma) - eps(x_sigma; "bad image") at high noise. There is no honest counterpart to that
negative prompt: no observation is one of bad chunks. So it is left out, and

    delta_D = eps_teacher(x_sigma)    at every level

For scale 1 that is the gradient of sds with xi left in it. Like sds it keeps nothing apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.guidance import guided, with_scale
from vdd_ros.policies.objectives.score_difference import NoiseDifference
from vdd_ros.policies.players import Nets, Player


@dataclass(frozen=True)
class Nfsd(NoiseDifference):
    """scale: of what the observation adds; the paper's 7.5 is for pictures. The paper's negative
    prompt, a description of bad pictures, has no honest counterpart: no observation is one of bad
    chunks. What it takes off at high noise is not taken off; instead the paper's rule for low noise
    holds at every level."""

    summary: ClassVar[str] = (
        "sds without added noise; the negative prompt has no honest counterpart and is left out"
    )
    paper: ClassVar[str] = "Katzir et al., ICLR 2024, arXiv:2310.17590"

    scale: float = 2.0

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        guided(teacher)  # refuses one that knows nothing without an observation
        return super().players(nets, teacher)

    def own(self, nets: Nets, x: Tensor, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        return noised

    def real(self, teacher: ScoreModel, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """Of delta_D + scale delta_C, which is guidance of scale - 1."""
        return guided(teacher).denoise(noised, sigma, with_scale(cond, self.scale - 1.0))
