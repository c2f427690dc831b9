"""vsd: the difference of the noises that teacher and fake score see (Wang et al. 2023).

    g = eps_teacher(x_sigma) - eps_fake(x_sigma) = (D_fake - D_teacher) / sigma

The published method moves parameters of a scene of which x is a view; here they are the student's.
Its fake score is a small change to the teacher (LoRA); of a network this small it is a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vdd_ros.policies.objectives.fake_score import FakeScore
from vdd_ros.policies.objectives.score_difference import NoiseDifference


@dataclass(frozen=True)
class Vsd(FakeScore, NoiseDifference):
    """See FakeScore and NoiseDifference."""

    summary: ClassVar[str] = "the noise that the teacher sees less what a learned own score sees"
    paper: ClassVar[str] = "Wang et al., NeurIPS 2023, arXiv:2305.16213"

    fake_updates: int = 3  # the weights of modes waver with less
