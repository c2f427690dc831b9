"""The one training loop, for the teacher and every objective. It resumes exactly where it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.device import CPU, autocast, computing, lent, placed_batch
from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.players import Nets, Player, require_disjoint
from vdd_ros.policies.settings import given
from vdd_ros.policies.shared_start import SharedStart
from vdd_ros.policies.training_state import TrainingState, restore_state, save_state

REPORT_EVERY = 50  # steps
Report = Callable[[int, int, float], None]
QUIET: Report = lambda step, steps, loss: None  # noqa: E731


class LastPhase(NamedTuple):
    """From the progress `begins` on losses are other ones, and the schedule of the learning rate
    runs once more, at `rate` times the learning rate."""

    begins: float
    rate: float


class Turn(NamedTuple):
    """One update of a player. loss: a scalar; gradient_norm: before it was clipped."""

    loss: Tensor
    gradient_norm: Tensor


@dataclass(frozen=True)
class TrainingConfig:
    """steps: gradient steps; save_every: steps between resumable states."""

    steps: int = 4000
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    final_rate: float = 0.02  # of learning_rate, at the end of the cosine
    warmup_steps: int = 100
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    weight_decay: float = 0.0
    bf16: bool = True  # in matrix products, and only where the device has them
    save_every: int = 1000
    seed: int = 0

    def __post_init__(self):
        if min(self.steps, self.batch_size, self.save_every) < 1 or self.learning_rate <= 0:
            raise ValueError(
                f"steps, batch_size, save_every and learning_rate must be positive: {given(self)}"
            )
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule is cosine or constant: {given(self)}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more: {given(self)}")

    def rate(self, step: int, last: LastPhase | None = None) -> float:
        """Learning rate at a step: linear warm-up, then the schedule; in each phase anew."""
        first, end, highest = 0, self.steps, self.learning_rate
        if last is not None:
            border = self.border(last)
            if step < border:
                end = border
            else:
                first, highest = border, highest * last.rate
        warm = min(1.0, (step - first + 1) / self.warmup_steps)
        if self.schedule == "constant":
            return highest * warm
        cosine = 0.5 * (1.0 + math.cos(math.pi * (step - first) / (end - first)))
        return highest * warm * (self.final_rate + (1 - self.final_rate) * cosine)

    def border(self, last: LastPhase) -> int:
        """The first step of the last phase, as large as `steps` if it has none."""
        return math.ceil(round(last.begins * self.steps, 6))


def train(
    nets: Nets,
    players: Sequence[Player],
    data: Any,
    config: TrainingConfig,
    state_file: Path | None = None,
    report: Report = QUIET,
    last: LastPhase | None = None,
    log: MetricsLog | None = None,
    start: SharedStart | None = None,
) -> dict[str, Tensor]:
    """Let players move nets in turn; returns the averaged weights of the first net.

    data: a NamedTuple of tensors (N, ...), of which a loss gets rows; last: where losses become
    other ones. The optimizers then forget the size of the gradients so far: by that of a smaller
    loss, those of a larger one would be leaps. With a state_file the loop saves itself there every
    save_every steps and takes up what it finds; start: where it leaves what it was before the last
    phase. Of several processes the first alone reports and writes. The nets are on the device of
    `device.on_device` meanwhile, and a batch at a time.
    """
    with lent(*nets.modules.values(), *nets.averages.values()):
        return _train(nets, players, data, config, state_file, report, last, log, start)


def _train(
    nets: Nets,
    players: Sequence[Player],
    data: Any,
    config: TrainingConfig,
    state_file: Path | None,
    report: Report,
    last: LastPhase | None,
    log: MetricsLog | None,
    start: SharedStart | None,
) -> dict[str, Tensor]:
    require_disjoint(players)
    generator = torch.Generator().manual_seed(config.seed)
    learners = {player.name: _Learner(player, config) for player in players}
    optimizers = {name: learner.optimizer for name, learner in learners.items()}
    state = TrainingState(nets, optimizers, generator)
    first = restore_state(state_file, state)
    distributed.require_same(first)
    in_charge = distributed.is_first()
    if log and in_charge:
        updates = sum(player.updates for player in players)
        log.begin(first, updates * config.batch_size * distributed.processes())
    with distributed.draws():
        for step in range(first, config.steps):
            rate = config.rate(step, last)
            if last is not None and step == config.border(last):
                for optimizer in optimizers.values():
                    optimizer.state.clear()
            turns = {
                player.name: learners[player.name].turn(data, config, step, rate, generator)
                for player in players
                for _ in range(player.updates)
            }
            nets.update_averages()
            done = step + 1
            if done % REPORT_EVERY == 0 or done == config.steps:
                figures = _figures(turns)
                if in_charge:
                    report(done, config.steps, figures["loss"])
                if log and in_charge:
                    log.write(done, figures | {"rate": rate})
            if state_file and in_charge and done % config.save_every == 0:
                save_state(state_file, done, state)
            if start and last and in_charge and done == config.border(last):
                start.keep(done, state, log)
    name = next(iter(nets.modules))
    averaged = nets.average(name).state_dict()
    return {key: tensor.to(CPU, copy=True) for key, tensor in averaged.items()}


class _Learner:
    """A player with the loss, shared among processes, and the optimizer that it learns by."""

    def __init__(self, player: Player, config: TrainingConfig):
        self.player, self.loss = player, distributed.shared(player)
        self.optimizer = torch.optim.AdamW(
            player.parameters,
            lr=config.learning_rate,
            betas=player.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def turn(
        self, data: Any, config: TrainingConfig, step: int, rate: float, generator: torch.Generator
    ) -> Turn:
        """One update on a fresh batch."""
        own = self.player.parameters
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.player.rate
        index = torch.randint(len(data[0]), (config.batch_size,), generator=generator)
        batch = placed_batch(data._make(part[index] for part in data))
        with computing(), autocast(config.bf16):
            loss = self.loss(batch, step / config.steps, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(own))
        norm = nn.utils.clip_grad_norm_(own, config.clip_norm)
        if not norm.isfinite():
            raise UserError(
                f"step {step + 1} has no finite gradient: train with a smaller learning_rate than "
                f"{config.learning_rate:g}; what was saved before is kept"
            )
        self.optimizer.step()
        return Turn(loss.detach(), norm)


def _figures(turns: dict[str, Turn]) -> dict[str, float]:
    """Of the first player by their plain names, of the others as loss/NAME and so on."""
    figures: dict[str, float] = {}
    for index, (name, turn) in enumerate(turns.items()):
        suffix = f"/{name}" if index else ""
        figures[f"loss{suffix}"] = distributed.mean(turn.loss).item()
        figures[f"gradient_norm{suffix}"] = turn.gradient_norm.item()
    return figures


def use_threads(count: int) -> None:
    """Let torch use `count` processor threads; raises UserError for less than one."""
    if count < 1:
        raise UserError(f"threads is {count}; use at least 1")
    torch.set_num_threads(count)
