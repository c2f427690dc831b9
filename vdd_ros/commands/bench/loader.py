"""Measure how fast training gets its examples from disk, beside the same examples in memory.

Batches of random rows, in turns: from arrays in memory; from a file that is in the page cache; from
the same file out of it; and by a training that uses them up. Numbers are drawn, not recorded.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from vdd_ros.commands.bench import origin, warn_if_busy
from vdd_ros.errors import UserError

MEMORY, WARM, COLD, TRAINING = "arrays in memory", "file, warm", "file, cold", "training uses up"


@dataclass(frozen=True)
class Args:
    gigabytes: float = 2.0
    """Size of the file, and of the arrays beside it."""
    batch: int = 256
    """Examples in a batch."""
    batches: int = 100
    """Batches of each in a block, a tenth of it where nothing is in the page cache."""
    blocks: int = 10
    """Blocks in which all take turns; ratios are medians over them."""
    cond: int = 14
    """Numbers of an observation."""
    chunk: int = 32
    """Numbers that stand for a chunk."""
    folder: Path | None = None
    """Where the file is made, on the disk to be measured; else where temporary files go."""
    seed: int = 0
    """Of the numbers and of the order."""


def main(args: Args) -> dict:
    """Print samples per second; raises UserError for sizes that nothing can be measured with."""
    counts = (args.batch, args.batches, args.blocks, args.cond, args.chunk)
    if min(counts) < 1 or not 0.0 < args.gigabytes <= 1000.0:
        raise UserError(
            f"gigabytes is {args.gigabytes}, and of batch, batches, blocks, cond and chunk the "
            f"least is {min(counts)}: write up to 1000, and 1 or more"
        )
    with tempfile.TemporaryDirectory(prefix=".loader-", dir=args.folder) as folder:
        result = measure_loader(args, Path(folder) / "examples.safetensors")
    Console().print(loader_table(result["rows"]))
    for name, ratio in result["ratios"].items():
        print(f"{name} {ratio:.2f}")
    print(
        f"memory of who reads the file of {result['file_mib']:.0f} MiB: {result['begin_mib']:.0f} "
        f"MiB as it begins, {result['peak_mib']:.0f} at the most"
    )
    warn_if_busy(result)
    return result


def measure_loader(args: Args, path: Path) -> dict:
    """Rows, ratios and how they were obtained; the whole of the `--json` line."""
    import torch

    from vdd_ros.policies import loader_trial as trial

    torch.set_num_threads(1)
    clock, sizes = time.perf_counter, trial.Sizes(args.cond, args.chunk)
    count = trial.make_file(path, sizes, args.gigabytes, args.seed)
    if count < args.batch:
        raise UserError(f"{args.gigabytes} gigabytes are {count} examples, not a batch: write more")
    arrays, rng = trial.in_memory(path, sizes), np.random.default_rng(args.seed)
    few = max(1, args.batches // 10)
    spent = np.zeros(2)  # processor and wall seconds, of what is measured in this process
    rates: dict[str, list[float]] = {name: [] for name in (MEMORY, WARM, COLD, TRAINING)}
    with trial.reader(path, sizes, clock) as reader:
        for _ in range(args.blocks):
            index = rng.integers(count, size=(args.batches, args.batch))
            # cold first: what it reads is not what is read after it
            seconds = {
                COLD: reader.batches(rng.integers(count, size=(few, args.batch)), True),
                WARM: _warm(reader, index),
            }
            began = np.array([time.thread_time(), clock()])
            seconds[MEMORY] = trial.seconds_of(arrays, index, clock)
            seconds[TRAINING] = trial.training_seconds(
                arrays, sizes, args.batch, args.batches, clock
            )
            spent += np.array([time.thread_time(), clock()]) - began
            for name, taken in seconds.items():
                batches = few if name == COLD else args.batches
                rates[name].append(batches * args.batch / taken)
        begin, peak = reader.memory()
    found = {name: np.array(each) for name, each in rates.items()}
    return {
        "ok": True,
        "rows": [
            {"name": name, "samples_per_s": float(np.median(each)), "blocks": len(each)}
            for name, each in found.items()
        ],
        "ratios": {
            "warm_over_memory": float(np.median(found[WARM] / found[MEMORY])),
            "cold_over_memory": float(np.median(found[COLD] / found[MEMORY])),
            "warm_over_training": float(np.median(found[WARM] / found[TRAINING])),
            "cold_over_training": float(np.median(found[COLD] / found[TRAINING])),
        },
        "examples": count,
        "batch": args.batch,
        "numbers": sum(sizes),
        "file_mib": path.stat().st_size / 2**20,
        "begin_mib": begin / 2**20,
        "peak_mib": peak / 2**20,
        "threads": 1,
        "cpu_share": float(spent[0] / spent[1]),
        **origin(args.seed),
    }


def _warm(reader, index: np.ndarray) -> float:
    """The second time that these rows are read."""
    reader.batches(index, False)
    return reader.batches(index, False)


def loader_table(rows: list[dict]) -> Table:
    """One line per way, in the order measured."""
    table = Table("examples from", Column("per second", justify="right"), title="random batches")
    for row in rows:
        table.add_row(row["name"], f"{row['samples_per_s']:,.0f}")
    return table
