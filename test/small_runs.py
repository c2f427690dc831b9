"""`vdd train` and `vdd distill` on the smallest of runs, and how they are killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from vdd_ros import cli

ROOT = Path(__file__).resolve().parents[1]
STEPS, SAVE_EVERY, BATCH = 60, 7, 16
TRAINING = [
    "--training.steps", STEPS, "--training.save-every", SAVE_EVERY,
    "--training.no-bf16", "--threads", 1,
]  # fmt: skip
TEACHER = [
    "--held-out", 1, "--teacher.horizon", 4, "--teacher.rank", 5, "--teacher.width", 16,
    "--teacher.blocks", 1, "--teacher.observation-noise", 0.1,
]  # fmt: skip
STUDENT = [
    "--student.n-experts", 3, "--student.width", 16, "--student.blocks", 1,
    "--student.bottleneck", 4,
]  # fmt: skip
POOL = ["--pool.size", 200, "--sampler.name", "euler", "--sampler.steps", 2]
# kills its own process, as no one could catch, in the Nth call of a function
KILLER = """
import os, signal, sys
from vdd_ros import cli
from vdd_ros.policies import learn, training, training_state

module, name, call = sys.argv[1:4]
module = {"learn": learn, "training": training, "training_state": training_state}[module]
real, seen = getattr(module, name), 0

def killing(*given, **named):
    global seen
    seen += 1
    if seen == int(call):
        if name == "save_tensors":  # with half a file written
            given[0].with_name(given[0].name + ".part").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

setattr(module, name, killing)
sys.exit(cli.main(sys.argv[4:]))
"""


def words(*given: object) -> list[str]:
    return [str(word) for word in given]


def vdd(*given: object) -> None:
    assert cli.main(words(*given)) == 0


def train(episodes: Path, out: Path, *more: object, batch: int = BATCH) -> list[str]:
    return words(
        "train", "--episodes", episodes, "--out", out, *TEACHER, *TRAINING,
        "--training.batch-size", batch, *more,
    )  # fmt: skip


def distill(
    teacher: Path, out: Path, *more: object, batch: int = BATCH, student: Sequence = STUDENT
) -> list[str]:
    return words(
        "distill", "--teacher", teacher, "--out", out, *student, *POOL, *TRAINING,
        "--training.batch-size", batch, *more,
    )  # fmt: skip


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights.safetensors")


def killed(module: str, function: str, call: int, given: list[str]) -> None:
    """Run `vdd` until that call of that function, and no further."""
    command = [sys.executable, "-c", KILLER, module, function, str(call), *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr


def random_step(seed: int) -> int:
    return int(
        torch.randint(SAVE_EVERY + 1, STEPS, (), generator=torch.Generator().manual_seed(seed))
    )
