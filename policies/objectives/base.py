"""The one interface of the ways from a teacher to a student, and the one way to go them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.device import lent
from vdd_ros.policies.distributed import processes
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.shared_start import SharedStart
from vdd_ros.policies.training import QUIET, LastPhase, Report, TrainingConfig, train

STUDENT = "student"  # the name of the net that is distilled
Net = TypeVar("Net", bound=nn.Module)  # what is distilled: a GaussianMoE, a Denoiser
Watch = Callable[[int, Any], None]


class Batch(NamedTuple):
    """cond: (B, C) observations; samples: (B, D) one teacher sample each; demos: (B, D) the
    demonstrated chunk; all in normalised units.
    """

    cond: Tensor
    samples: Tensor
    demos: Tensor


class Paired(NamedTuple):
    """A Batch whose samples are ends of the teacher's ODE; starts: (B, D) what each came from,
    sigma_max N(0, I)."""

    cond: Tensor
    samples: Tensor
    demos: Tensor
    starts: Tensor


class SeenBatch(NamedTuple):
    """A Batch, and what each observation sees: numbers: (B, C) of its pictures; ages_s: (B, C)."""

    cond: Tensor
    samples: Tensor
    demos: Tensor
    numbers: Tensor
    ages_s: Tensor


class Objective(Generic[Net]):
    """A dataclass of settings, kept in the run, that knows how a student learns.

    summary: what it does, in a line; paper: who published it, empty where nobody did;
    needs_demos: whether it learns from what was demonstrated, beside or instead of the teacher;
    needs_samples: whether it reads the teacher samples of a batch; needs_starts: whether also the
    noise that each came from, so that a batch is Paired; is_mean: whether its loss is a
    mean over the rows of a batch, so that several processes learn as one.

    With one loss for the whole student it is `loss` alone. Where several learn in turn it is
    `players`, and `auxiliaries` where networks beside the student are needed.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    needs_demos: ClassVar[bool] = False
    needs_samples: ClassVar[bool] = True
    needs_starts: ClassVar[bool] = False

    @property
    def is_mean(self) -> bool:
        return True

    @property
    def last_phase(self) -> LastPhase | None:
        """Where losses become other ones, None if they never do."""
        return None

    @property
    def first_phase(self) -> Objective | None:
        """What the training is up to the last phase, None where nobody else's is the same."""
        return None

    def prepared(self, data: Any, teacher: ScoreModel) -> Any:
        """What batches are drawn from: `data` (N rows) with whatever else the teacher has to be
        asked for once, before the training, without drawing anything."""
        return data

    def auxiliaries(self, student: Net, teacher: ScoreModel) -> dict[str, nn.Module]:
        """Networks that are trained beside the student, by name, as they begin."""
        return {}

    def players(self, nets: Nets, teacher: ScoreModel) -> list[Player]:
        """Who learns, in turn; nets: the student under STUDENT, and the auxiliaries."""
        student = nets[STUDENT]

        def loss(batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
            return self.loss(student, teacher, batch, progress, generator)

        return [Player(STUDENT, parameters_of(student), loss)]

    def loss(
        self,
        student: Net,
        teacher: ScoreModel,
        batch: Any,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """A scalar whose gradient moves the student; progress runs from 0 to 1 over training."""
        raise NotImplementedError(f"{type(self).__name__} needs loss or players")


def require_learnable(objective: Objective) -> None:
    """Raise UserError where several processes would not learn as one."""
    if processes() > 1 and not objective.is_mean:
        raise UserError(
            f"{objective} weighs the rows of a batch against each other, which several processes "
            "have in parts: distil in one, without torchrun"
        )


def fit(
    student: nn.Module,
    teacher: ScoreModel,
    data: Batch | Paired | SeenBatch,
    objective: Objective,
    training: TrainingConfig,
    state_file: Path | None = None,
    report: Report = QUIET,
    log: MetricsLog | None = None,
    watch: Watch | None = None,
    start: SharedStart | None = None,
) -> dict[str, Tensor]:
    """Train a student by an objective on batches drawn from `data`; returns averaged weights.

    state_file, log, start: as `train` has them; watch(step, averaged student): called with every
    report, to look and not to touch.
    """
    require_learnable(objective)
    nets = Nets({STUDENT: student, **objective.auxiliaries(student, teacher)}, training.ema_decay)
    players = objective.players(nets, teacher)
    data = objective.prepared(data, teacher)

    def tell(done: int, steps: int, loss: float) -> None:
        report(done, steps, loss)
        if watch:
            watch(done, nets.average(STUDENT))

    last = objective.last_phase
    with lent(teacher):
        return train(nets, players, data, training, state_file, tell, last, log, start)
