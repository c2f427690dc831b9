"""What adversarial objectives share: a student and a discriminator that learn in turn.

    discriminator    shown(d(a)) + made(d(x)) + penalty / 2 |d' (a)|^2
    student          student(d(x)) + what a method adds

with x what the student makes of a batch and a what was demonstrated, both as a method presents
them: clean or noised, alone or in pairs. The penalty (R1) is asked of a few rows of every batch,
which costs as little as asking it of all rows every few steps.

Such trainings circle where others settle: the running average of a student is what is judged, and
one seed says little.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from vdd_ros.policies.denoiser import Denoiser, ScoreModel
from vdd_ros.policies.objectives.base import STUDENT, Batch
from vdd_ros.policies.objectives.discriminator import Discriminator, sizes_of, squared_slope
from vdd_ros.policies.objectives.few_step import FewStep
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.settings import given

DISCRIMINATOR = "discriminator"
STEADY = (0.5, 0.9)  # Adam's betas: who learns from an adversary must not trust old gradients


class Game(NamedTuple):
    """What is paid for a judgement: of the discriminator on what was shown and on what was made,
    and of the student."""

    shown: Callable[[Tensor], Tensor]
    made: Callable[[Tensor], Tensor]
    student: Callable[[Tensor], Tensor]


GAMES = {
    # Goodfellow et al. 2014, the form that does not saturate
    "softplus": Game(lambda d: softplus(-d), softplus, lambda d: softplus(-d)),
    "hinge": Game(lambda d: (1.0 - d).relu(), lambda d: (1.0 + d).relu(), lambda d: -d),
    # Mao et al. 2017
    "square": Game(lambda d: (d - 1.0) ** 2 / 2, lambda d: d**2 / 2, lambda d: (d - 1.0) ** 2 / 2),
}


class Judged(NamedTuple):
    """clean: (B, D) what the student says of chunks at noise levels high, (B,) or (1,); made and
    shown: (B, D) what of it, and of what was demonstrated, the discriminator gets, about as wide as
    1; sigma: (B,) the level that it is told; beside: (B, D) what both came from, where it sees
    pairs.
    """

    clean: Tensor
    high: Tensor
    made: Tensor
    shown: Tensor
    sigma: Tensor
    beside: Tensor | None = None


@dataclass(frozen=True)
class Adversarial(FewStep, ABC):
    """adversarial: weight of the discriminator in the student's loss; penalty: R1's; penalised: one
    row in so many has it; width, blocks: of the discriminator; rate: times the learning rate, of
    both."""

    needs_demos: ClassVar[bool] = True
    needs_samples: ClassVar[bool] = False
    shows_pairs: ClassVar[bool] = False  # whether two chunks are judged together

    adversarial: float = 1.0
    game: Literal["softplus", "hinge", "square"] = "softplus"
    penalty: float = 0.05
    penalised: int = 4
    width: int = 128
    blocks: int = 2
    rate: float = 0.5

    def __post_init__(self):
        if self.game not in GAMES:
            raise ValueError(f"game is one of {', '.join(GAMES)}: {given(self)}")
        if min(self.adversarial, self.penalty) < 0.0 or self.penalised < 1 or self.rate <= 0.0:
            raise ValueError(
                f"weights are not negative, rate and penalised positive: {given(self)}"
            )

    @abstractmethod
    def examples(self, student: nn.Module, batch: Batch, generator: torch.Generator) -> Judged:
        """What the student makes, with its gradient, beside what was demonstrated."""

    def of_clean(self, student: Denoiser, clean: Tensor, high: Tensor, batch: Batch) -> Judged:
        """Clean chunks (B, D), from levels high (B,), are judged without noise; the judge is told
        that level."""
        none = torch.full_like(high, self.sigma_min)
        made, shown = (
            to_unit_variance(chunks, none, student.sigma_data) for chunks in (clean, batch.demos)
        )
        return Judged(clean, high, made, shown, high)

    def anchor(
        self, judged: Judged, teacher: ScoreModel, batch: Batch, generator: torch.Generator
    ) -> Tensor | None:
        """What the student is told beside the judgement, a scalar."""
        return None

    def auxiliaries(self, student: Denoiser, teacher: ScoreModel) -> dict[str, nn.Module]:
        sizes = sizes_of(student.net)
        dim = 2 * sizes.dim if self.shows_pairs else sizes.dim
        return {DISCRIMINATOR: Discriminator(sizes._replace(dim=dim), self.width, self.blocks)}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        student, judge = nets[STUDENT], nets[DISCRIMINATOR]

        def learn(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.student_loss(student, judge, teacher, batch, generator)

        def tell_apart(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.judge_loss(student, judge, batch, generator)

        return [
            Player(STUDENT, parameters_of(student), learn, self.rate, betas=STEADY),
            Player(DISCRIMINATOR, parameters_of(judge), tell_apart, self.rate, betas=STEADY),
        ]

    @torch.autocast("cpu", enabled=False)
    def student_loss(
        self,
        student: nn.Module,
        judge: nn.Module,
        teacher: ScoreModel,
        batch: Batch,
        generator: torch.Generator,
    ) -> Tensor:
        judged = self.examples(student, batch, generator)
        verdict = judge(judged.made, judged.sigma, batch.cond, judged.beside)
        loss = self.adversarial * GAMES[self.game].student(verdict).mean()
        anchor = self.anchor(judged, teacher, batch, generator)
        return loss if anchor is None else loss + anchor

    @torch.autocast("cpu", enabled=False)
    def judge_loss(
        self, student: nn.Module, judge: nn.Module, batch: Batch, generator: torch.Generator
    ) -> Tensor:
        game = GAMES[self.game]
        with torch.no_grad():
            _, _, made, shown, sigma, beside = self.examples(student, batch, generator)

        def of(chunks: Tensor) -> Tensor:
            rows = slice(len(chunks))
            return judge(
                chunks, sigma[rows], batch.cond[rows], None if beside is None else beside[rows]
            )

        loss = (game.shown(of(shown)) + game.made(of(made))).mean()
        if self.penalty:
            few = shown[: -(-len(shown) // self.penalised)]
            loss = loss + self.penalty / 2 * squared_slope(of, few).mean()
        return loss


def to_unit_variance(chunks: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """(B, D) chunks noised with (B,) sigma, as wide as 1."""
    return chunks / (sigma[:, None] ** 2 + sigma_data**2).sqrt()


def drawn(levels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(count,) indices of levels, each as likely."""
    return torch.randint(len(levels), (count,), generator=generator)
