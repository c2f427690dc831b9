"""The one training loop, for the teacher and every objective. It resumes exactly where it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vdd_ros.errors import UserError
from vdd_ros.policies.checkpoint import load_tensors, save_tensors

LossOf = Callable[[nn.Module, Tensor, float, torch.Generator], Tensor]
Report = Callable[[int, int, float], None]
QUIET: Report = lambda step, steps, loss: None  # noqa: E731


@dataclass(frozen=True)
class TrainingConfig:
    """steps: gradient steps; save_every: steps between resumable states."""

    steps: int = 4000
    batch_size: int = 256
    learning_rate: float = 1e-3
    final_rate: float = 0.02  # of learning_rate, at the end of the cosine
    warmup_steps: int = 100
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    weight_decay: float = 0.0
    bf16: bool = True  # in matrix products, and only where the processor has them
    save_every: int = 1000
    seed: int = 0

    def __post_init__(self):
        if min(self.steps, self.batch_size, self.save_every) < 1 or self.learning_rate <= 0:
            raise ValueError(
                f"steps, batch_size, save_every and learning_rate must be positive: {self}"
            )
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more: {self}")

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, then cosine."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        cosine = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * warm * (self.final_rate + (1 - self.final_rate) * cosine)


def train(
    module: nn.Module,
    loss_of: LossOf,
    rows: int,
    config: TrainingConfig,
    state_file: Path | None = None,
    report: Report = QUIET,
    changes_at: float | None = None,
) -> dict[str, Tensor]:
    """Minimise loss_of(module, row indices (B,), progress, generator); returns averaged weights.

    changes_at: progress at which loss_of becomes another one. The optimizer then forgets the size
    of the gradients so far: by that of a smaller loss, those of a larger one would be leaps. With a
    state_file the loop saves itself there every save_every steps and takes up what it finds.
    """
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
    first = _restore(state_file, module, averaged, optimizer, generator)
    for step in range(first, config.steps):
        if changes_at is not None and (step - 1) / config.steps < changes_at <= step / config.steps:
            optimizer.state.clear()
        for group in optimizer.param_groups:
            group["lr"] = config.rate(step)
        index = torch.randint(rows, (config.batch_size,), generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16 and has_bf16()):
            loss = loss_of(module, index, step / config.steps, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm, error_if_nonfinite=True)
        optimizer.step()
        averaged.update_parameters(module)
        if (step + 1) % 50 == 0 or step + 1 == config.steps:
            report(step + 1, config.steps, loss.item())
        if state_file and (step + 1) % config.save_every == 0:
            _save(state_file, step + 1, module, averaged, optimizer, generator)
    return {name: tensor.clone() for name, tensor in averaged.module.state_dict().items()}


def use_threads(count: int) -> None:
    """Let torch use `count` processor threads; raises UserError for less than one."""
    if count < 1:
        raise UserError(f"threads is {count}; use at least 1")
    torch.set_num_threads(count)


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware; elsewhere it only costs."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def _save(
    path: Path,
    step: int,
    module: nn.Module,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    tensors = {"step": torch.tensor(step), "generator": generator.get_state()}
    tensors |= {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in averaged.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    save_tensors(path, tensors)


def _restore(
    path: Path | None,
    module: nn.Module,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> int:
    """Put a saved state back; returns the step to go on from, 0 when there is none."""
    if path is None or not path.exists():
        return 0
    tensors = load_tensors(path)
    module.load_state_dict(_below("module.", tensors))
    averaged.load_state_dict(_below("averaged.", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _below("optimizer.", tensors).items():
        index, field = name.split(".", 1)
        moments.setdefault(int(index), {})[field] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict(whole | {"state": moments})
    generator.set_state(tensors["generator"])
    return int(tensors["step"])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
