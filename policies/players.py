"""Players: who one training moves, by which losses, in turn.

Most trainings have one. Where two networks learn from each other (experts and gating, a student and
the network that learns its score, a generator and its discriminator), each is a player with an
optimiser of its own. Players may share a network as long as each moves parameters of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# rows of the data (a NamedTuple like it), progress from 0 to 1, generator -> scalar
LossOf = Callable[[Any, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Player:
    """parameters: what it moves, and all that it moves; loss: of a batch; rate: times the
    training's learning rate; updates: in each step of the training, each on a fresh batch; betas:
    Adam's. A loss draws row by row: the first dimension of what it draws is that of its batch.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    loss: LossOf
    rate: float = 1.0
    updates: int = 1
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self):
        if not self.parameters or self.updates < 1 or self.rate <= 0.0:
            raise ValueError(f"a player needs parameters, updates and a rate: {self.name}")


class Nets:
    """Networks by name, the one that is trained for first, and the running average of each.

    An average is there from the start, so that a loss may aim at it (a self-target).
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float):
        self.modules = dict(modules)
        self.averages = {
            name: AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))
            for name, module in modules.items()
        }

    def __getitem__(self, name: str) -> nn.Module:
        return self.modules[name]

    def average(self, name: str) -> nn.Module:
        """The network with averaged weights; before the first step, as it began."""
        return self.averages[name].module

    def update_averages(self) -> None:
        """Take in the weights as they are now."""
        for name, averaged in self.averages.items():
            averaged.update_parameters(self.modules[name])


def parameters_of(*modules: nn.Module) -> tuple[nn.Parameter, ...]:
    """All parameters of some modules, for a player that moves these."""
    return tuple(parameter for module in modules for parameter in module.parameters())


def require_disjoint(players: Iterable[Player]) -> None:
    """Raise ValueError where two players would move one parameter."""
    seen: set[int] = set()
    for player in players:
        own = {id(parameter) for parameter in player.parameters}
        if own & seen:
            raise ValueError(f"{player.name} moves what another player moves")
        seen |= own


def parameters_beside(whole: nn.Module, part: nn.Module) -> tuple[nn.Parameter, ...]:
    """All parameters of a network that one part of it does not own."""
    left_out = {id(parameter) for parameter in part.parameters()}
    return tuple(one for one in whole.parameters() if id(one) not in left_out)
