"""More than one process, started by torchrun: N with batch B learn as one with batch N B.

Process r of N has rows r, r + N, ... of what one process would have drawn: of the batch's indices
and of every draw of a loss. Gradients are averaged (DistributedDataParallel), so weights stay equal
everywhere. A setting that counts rows of a batch counts those of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from vdd_ros.errors import UserError
from vdd_ros.policies.players import LossOf, Player

PATIENCE = timedelta(days=1)  # with the first process, which may have a large dataset to decode


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that torchrun started with this one; without torchrun there are none."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    # each kind of tensor by the library that can send it
    kinds = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(kinds, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def processes() -> int:
    """How many learn together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process writes and reports."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait() -> None:
    """Until every process is here."""
    if processes() > 1:
        dist.barrier()


def mean(value: Tensor) -> Tensor:
    """Over processes, of a scalar."""
    if processes() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / processes()


def require_same(step: int) -> None:
    """Raise UserError where another process goes on from another step."""
    if processes() == 1:
        return
    steps: list[int] = [0] * processes()
    dist.all_gather_object(steps, step)
    if len(set(steps)) > 1:
        raise UserError(
            f"the processes would go on from different steps ({steps}): let all machines see one "
            "run folder"
        )


def shared(player: Player) -> LossOf:
    """The player's loss; its gradient is averaged over processes."""
    if processes() == 1:
        return player.loss
    return DistributedDataParallel(_Loss(player))


def draws() -> AbstractContextManager:
    """While it lasts, draws from a generator are this process's rows of everybody's."""
    return OwnRows(dist.get_rank(), processes()) if processes() > 1 else nullcontext()


class _Loss(nn.Module):
    """A loss as DistributedDataParallel wants it: with the parameters that it moves."""

    def __init__(self, player: Player):
        super().__init__()
        self.parameters_moved = nn.ParameterList(player.parameters)
        self.loss = player.loss

    def forward(self, batch, progress: float, generator: torch.Generator) -> Tensor:
        return self.loss(batch, progress, generator)


class OwnRows(TorchFunctionMode):
    """Every process draws the numbers of all rows and keeps those of its own.

    Rows are dealt out in turn, not in blocks: the first n rows of each process's batch are then the
    first N n of the whole one, for losses that use only so many.
    """

    def __init__(self, rank: int, processes: int):
        super().__init__()
        self.rank, self.processes = rank, processes

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        if func in (torch.rand, torch.randn) and args and isinstance(args[0], int):
            args = (args,)  # sizes given one by one
        if func not in (torch.rand, torch.randn, torch.randint) or not args:
            raise NotImplementedError(
                f"{func.__name__} cannot be dealt out to processes: draw with rand, randn or "
                "randint of a shape"
            )
        *bounds, (rows, *rest) = args
        whole = func(*bounds, (rows * self.processes, *rest), **kwargs)
        return whole[self.rank :: self.processes]
