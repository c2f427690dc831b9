"""sds: the teacher's noise less the noise that was added (Poole et al. 2023).

    g = eps_teacher(x_sigma) - xi = (x - D_teacher(x_sigma)) / sigma

That is `vsd` with a student that is taken to make x and nothing else: D_own = x. So nothing keeps
samples apart. For a Gaussian N(m, s^2) as the teacher the width q of a student falls by q / (s^2 +
sigma^2) times the rate, to nought; of several modes one is left. It is here as what every other
method has to be better than, and is the step by which a teacher guides a sampler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vdd_ros.policies.objectives.score_difference import NoiseDifference
from vdd_ros.policies.players import Nets


@dataclass(frozen=True)
class Sds(NoiseDifference):
    """See NoiseDifference."""

    summary: ClassVar[str] = (
        "the noise that the teacher sees less what was added; ends in one mode, kept as a control"
    )
    paper: ClassVar[str] = "Poole et al., ICLR 2023, arXiv:2209.14988"

    def own(self, nets: Nets, x: Tensor, noised: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        return x
