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
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.objectives.score_difference import NoiseDifference
from vdd_ros.policies.players import Nets, Player


@runtime_checkable
class Unconditional(Protocol):
    """Of teachers that were also trained with observations left out."""

    def denoise_blind(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, D), (B,) or (1,) -> (B, D): the mean of the clean chunk whatever was observed."""
        ...


@dataclass(frozen=True)
class Nfsd(NoiseDifference):
    """scale: of what the observation adds; the paper's 7.5 is for pictures."""

    summary: ClassVar[str] = (
        "sds without added noise; the negative prompt has no honest counterpart and is left out"
    )
    paper: ClassVar[str] = "Katzir et al., ICLR 2024, arXiv:2310.17590"

    scale: float = 2.0

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        require_blind(teacher)
        return super().players(nets, teacher)

    def own(self, nets: Nets, x: Tensor, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        return noised

    def real(self, teacher: ScoreModel, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        blind = require_blind(teacher).denoise_blind(noised, sigma)
        return blind + self.scale * (teacher.denoise(noised, sigma, cond) - blind)


def require_blind(teacher: ScoreModel) -> Unconditional:
    """The teacher; UserError for one that always needs an observation."""
    if not isinstance(teacher, Unconditional):
        raise UserError(
            "nfsd needs a teacher that was also trained with observations left out, and this one "
            "cannot do without: choose another method, such as vsd or diff-instruct"
        )
    return teacher
