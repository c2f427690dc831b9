"""The device that networks learn on: the processor, or an NVIDIA GPU.

Data stay with the processor, and a batch at a time is copied. Numbers are drawn by the processor's
generator on either, so that a training sees the same batches, noise and parts of pictures on both,
and is taken up on the other; rounding is all that differs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vdd_ros.errors import UserError

Device = Literal["cpu", "cuda"]
CPU = torch.device("cpu")
_CURRENT: ContextVar[torch.device] = ContextVar("device", default=CPU)
DRAWS = (torch.rand, torch.randn, torch.randint, torch.randperm)


@contextmanager
def on_device(name: Device) -> Iterator[None]:
    """While it lasts, trainings compute there. Raises UserError where torch has no such device."""
    token = _CURRENT.set(_found(name))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> torch.device:
    """Where trainings compute now."""
    return _CURRENT.get()


def _found(name: Device) -> torch.device:
    if name == "cpu":
        return CPU
    if not torch.cuda.is_available():
        why = "finds no NVIDIA GPU with a driver" if torch.version.cuda else "is built without CUDA"
        raise UserError(
            f"device is cuda, and torch {torch.__version__} {why}: install a build of torch with "
            "CUDA on a machine with a GPU (docs/cameras.md), or leave out --device"
        )
    # torchrun gives each process of a machine a number
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if device.index >= torch.cuda.device_count():
        raise UserError(
            f"process {device.index} of this machine has no GPU of its own, there are "
            f"{torch.cuda.device_count()}: start no more processes than GPUs"
        )
    torch.cuda.set_device(device)
    return device


def placed(tensor: Tensor) -> Tensor:
    """On the device; the copy to a GPU goes on while the processor does."""
    device = current()
    if device == CPU:
        return tensor
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def placed_batch(batch: Any) -> Any:
    """A NamedTuple of tensors likewise; integers stay, such as numbers of pictures to be read."""
    if current() == CPU:
        return batch
    return batch._make(placed(part) if part.is_floating_point() else part for part in batch)


@contextmanager
def lent(*modules: object) -> Iterator[None]:
    """While it lasts, networks are on the device; what is no module stays where it is."""
    device = current()
    moved = [one for one in modules if isinstance(one, nn.Module) and device != CPU]
    try:
        for one in moved:
            one.to(device)
        yield
    finally:
        for one in moved:
            one.to(CPU)


def computing() -> AbstractContextManager:
    """While it lasts, what is made or drawn is on the device."""
    device = current()
    if device == CPU:
        return nullcontext()
    stack = ExitStack()
    stack.enter_context(device)
    stack.enter_context(Drawn(device))
    return stack


def autocast(bf16: bool) -> AbstractContextManager:
    """bfloat16 in products, where the device multiplies it in hardware."""
    device = current()
    if device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16, bf16 and torch.cuda.is_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, bf16 and has_bf16())


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware; elsewhere it only costs."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


class Drawn(TorchFunctionMode):
    """What is drawn by a generator is drawn by the processor's, and copied."""

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        if func in DRAWS:
            return func(*args, **kwargs | {"device": CPU}).to(self.device, non_blocking=True)
        own = [one.to(CPU) if isinstance(one, Tensor) else one for one in args]
        return func(*own, **kwargs).to(self.device)
