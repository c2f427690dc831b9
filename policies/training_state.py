"""What a training has to keep so that it ends as if it had never been broken off."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vdd_ros.policies.checkpoint import load_tensors, save_tensors
from vdd_ros.policies.players import Nets


class TrainingState(NamedTuple):
    """optimizers: by the name of their player."""

    nets: Nets
    optimizers: dict[str, torch.optim.Optimizer]
    generator: torch.Generator


def save_state(path: Path, step: int, state: TrainingState) -> None:
    """Write everything after `step` steps, by rename."""
    tensors = {"step": torch.tensor(step), "generator": state.generator.get_state()}
    for name, module in state.nets.modules.items():
        tensors |= _under(f"module.{name}.", module.state_dict())
        tensors |= _under(f"averaged.{name}.", state.nets.averages[name].state_dict())
    for player, optimizer in state.optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= _under(f"optimizer.{player}.{index}.", moments)
    save_tensors(path, tensors)


def restore_state(path: Path | None, state: TrainingState) -> int:
    """Put a saved state back; returns the step to go on from, 0 when there is none."""
    if path is None or not path.exists():
        return 0
    tensors = load_tensors(path)
    for name, module in state.nets.modules.items():
        module.load_state_dict(_below(f"module.{name}.", tensors))
        state.nets.averages[name].load_state_dict(_below(f"averaged.{name}.", tensors))
    for player, optimizer in state.optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(f"optimizer.{player}.", tensors).items():
            index, field = key.split(".", 1)
            moments.setdefault(int(index), {})[field] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    state.generator.set_state(tensors["generator"])
    return int(tensors["step"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in tensors.items()}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
