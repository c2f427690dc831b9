"""How fast batches come from disk, beside the same batches from arrays in memory.

Who reads from disk is a process of its own, so that its memory can be told from that of the arrays;
both take turns.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vdd_ros.errors import UserError
from vdd_ros.policies.diffusion_loss import denoising_loss
from vdd_ros.policies.examples import Examples, RowsOnDisk, columns
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.teacher import TeacherConfig, make_teacher
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter
from vdd_ros.policies.training import TrainingConfig, train

ROWS = 1 << 18  # that are drawn at a time
Clock = Callable[[], float]


class Sizes(NamedTuple):
    """Numbers of an example: C and R."""

    cond: int
    chunk: int


class Reader(NamedTuple):
    """batches(index (b, B), is_cold) -> seconds; memory() -> (as it began, its highest) [bytes]."""

    batches: Callable[[np.ndarray, bool], float]
    memory: Callable[[], tuple[int, int]]


def make_file(path: Path, sizes: Sizes, gigabytes: float, seed: int) -> int:
    """Examples of random numbers; returns how many there are."""
    count = int(gigabytes * 1e9 / 4 / sum(sizes))
    rng = np.random.default_rng(seed)
    with TensorWriter(path, {"rows": Shape(np.float32, (count, sum(sizes)))}) as writer:
        for begin in range(0, count, ROWS):
            rows = min(ROWS, count - begin)
            writer.write("rows", rng.standard_normal((rows, sum(sizes)), dtype=np.float32))
    return count


def in_memory(path: Path, sizes: Sizes) -> Examples:
    """The same examples as arrays."""
    rows = torch.from_numpy(TensorFile(path).tensors["rows"].copy())
    return Examples(rows[:, : sizes.cond].contiguous(), rows[:, sizes.cond :].contiguous())


def seconds_of(data: Examples, index: np.ndarray, clock: Clock) -> float:
    """To take the batches whose rows are (b, B) out of data, one after the other."""
    batches = torch.from_numpy(index)
    began = clock()
    for rows in batches:
        Examples(*(part[rows] for part in data))
    return clock() - began


def training_seconds(data: Examples, sizes: Sizes, batch: int, steps: int, clock: Clock) -> float:
    """That so many steps of the usual teacher take, batches included."""
    config = TeacherConfig(rank=sizes.chunk)
    torch.manual_seed(0)
    denoiser = make_teacher(config, sizes.cond, *sizes)

    def loss(rows: Examples, progress: float, generator: torch.Generator) -> torch.Tensor:
        return denoising_loss(denoiser, rows.chunks, rows.cond, config.noise, generator)

    training = TrainingConfig(steps=steps, batch_size=batch)
    nets = Nets({"teacher": denoiser}, training.ema_decay)
    began = clock()
    train(nets, [Player("teacher", parameters_of(denoiser), loss)], data, training)
    return clock() - began


@contextmanager
def reader(path: Path, sizes: Sizes, clock: Clock) -> Iterator[Reader]:
    """A process that reads a file from disk; it ends with the block."""
    fresh = multiprocessing.get_context("spawn")
    here, there = fresh.Pipe()
    process = fresh.Process(target=_serve, args=(there, path, sizes, clock))
    process.start()
    there.close()

    def asked(*question) -> tuple:
        here.send(question)
        return here.recv()

    try:
        yield Reader(lambda index, is_cold: asked(index, is_cold)[0], lambda: asked(None, False))
    finally:
        here.close()
        process.join()


def _serve(questions: Connection, path: Path, sizes: Sizes, clock: Clock) -> None:
    torch.set_num_threads(1)
    rows, before = RowsOnDisk(path), _memory("VmRSS")
    data = columns(rows, *sizes)
    while True:
        try:
            index, is_cold = questions.recv()
        except EOFError:
            return
        if index is None:
            questions.send((before, _memory("VmHWM")))
            continue
        if is_cold:
            rows.drop()
        questions.send((seconds_of(data, index, clock),))


def _memory(name: str) -> int:
    """Of this process [bytes]: VmRSS now, VmHWM at the most."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    if found is None:
        raise UserError(f"this system does not say {name} in /proc/self/status: measure on Linux")
    return 1024 * int(found[1])
