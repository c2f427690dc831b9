"""A student that learns to see as well: its encoder begins as its teacher's and goes its own way.

The teacher goes on to see with its own, by features that are encoded once. An objective asks both
at one cond, which here is the student's followed by the teacher's, and each reads its part.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.objectives import STUDENT, Batch, Objective, SeenBatch
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import Teacher
from vdd_ros.policies.sighted import Sighted, pixels_of
from vdd_ros.policies.stored_pictures import StoredPictures
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.training import LastPhase


class ReadsFirst(nn.Module):
    """A student that is told the first `size` numbers of cond."""

    def __init__(self, net: nn.Module, size: int):
        super().__init__()
        self.net, self.size = net, size

    def forward(self, cond: Tensor):
        return self.net(cond[:, : self.size])


class ReadsLast:
    """A teacher that is told what follows the first `size` numbers of cond."""

    def __init__(self, teacher: ScoreModel, size: int):
        self._teacher, self._size = teacher, size

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """As `ScoreModel.denoise`."""
        return self._teacher.denoise(x, sigma, cond[:, self._size :])


@dataclass(frozen=True)
class WithOwnEyes(Objective[Sighted]):
    """inner: what the student learns by; views: the pictures; state: numbers of cond before those
    of images."""

    inner: Objective
    views: StoredPictures
    state: int

    def __post_init__(self):
        if type(self.inner).players is not Objective.players:
            raise UserError(
                f"by {type(self.inner).__name__} several parts of a student learn in turn, and "
                "none of them learns to see: use encoder frozen, or vdd or nll"
            )

    @property
    def is_mean(self) -> bool:
        return self.inner.is_mean

    @property
    def last_phase(self) -> LastPhase | None:
        return self.inner.last_phase

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        """The student and its encoder, by one loss."""
        student = nets[STUDENT]
        assert isinstance(student, Sighted)

        def loss(batch: SeenBatch, progress: float, generator: torch.Generator) -> Tensor:
            pixels = pixels_of(self.views, batch.numbers)
            shown = student.encoder.learned(pixels, batch.ages_s, generator)
            own = torch.cat([batch.cond[:, : self.state], shown], dim=1)
            both = Batch(torch.cat([own, batch.cond], dim=1), batch.samples, batch.demos)
            size = own.shape[1]
            reads, asked = ReadsFirst(student.net, size), ReadsLast(teacher, size)
            return self.inner.loss(reads, asked, both, progress, generator)

        return [Player(STUDENT, parameters_of(student), loss)]


def with_own_eyes(teacher: Teacher, objective: Objective, pool: PoolConfig) -> WithOwnEyes:
    """The objective by which a student of a teacher that sees images learns to see as well; raises
    UserError where it cannot, or a pool has observations without pictures."""
    if pool.between:
        raise UserError(
            "observations between recorded ones have no pictures: leave out pool.between, or use "
            "encoder frozen"
        )
    views = open_windows(teacher.folder, held_out=False).views
    if teacher.encoder is None or views is None:
        raise UserError(
            f"{teacher.folder} is of a contract without images: leave out --encoder trained"
        )
    return WithOwnEyes(objective, views, teacher.normalizer.sizes[1])


def sighted_student(teacher: Teacher, student: nn.Module) -> Sighted:
    """A student with an encoder that begins as its teacher's."""
    assert teacher.encoder is not None
    return Sighted(deepcopy(teacher.encoder).train(), student)


def seen_batch(data: Batch, teacher: Teacher, rows: Tensor) -> SeenBatch:
    """A pool whose observations are the given rows of what a teacher was trained on."""
    pictures = open_windows(teacher.folder, held_out=False).pictures
    assert pictures is not None
    seen = pictures[rows.numpy()]
    return SeenBatch(*data, torch.from_numpy(seen.numbers), torch.from_numpy(seen.ages_s))
