"""A small real policy for benches that are told of none, made by the commands that anyone has.

Demonstrations of a scripted operator, a teacher, a student distilled from it, and the bundles of
both: networks as large as usual, so that they cost what real ones cost, from so little that they
hardly know their task. Made once by each state of the code, in about a minute, and kept in the
user's cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from vdd_ros.code_version import code_hash
from vdd_ros.commands.config_files import config_file
from vdd_ros.contract import Contract
from vdd_ros.durable import sync_folder
from vdd_ros.environment import drawn_by
from vdd_ros.errors import UserError
from vdd_ros.processes import isolated


class Recipe(NamedTuple):
    """What a policy is made of: demonstrations, of which so many are held out, in the task of a
    contract; gradient steps of both networks, for a teacher of so large batches; and, for a
    student, so many samples."""

    task: str
    contract: Path
    demonstrations: int
    held_out: int
    steps: int
    batch: int
    pool: int


# A network of two steps sees nothing, but it looks for as long as one that does.
RECIPES = {
    "small": Recipe("avoid", Path("config/panda_avoid.yaml"), 20, 4, 100, 256, 4000),
    "sighted": Recipe("stack_1", Path("config/panda_stack_1_images.yaml"), 3, 1, 2, 8, 64),
}


class Made(NamedTuple):
    """Folders: recorded episodes, the runs of a teacher and of its student, their bundles."""

    demonstrations: Path
    teacher_run: Path
    student_run: Path
    teacher: Path
    student: Path


def made(kind: str = "small") -> Made:
    """The policy, made now if it is not there yet; says where. kind: of RECIPES. Raises UserError
    where a command failed."""
    recipe = RECIPES[kind]
    recipe = recipe._replace(contract=config_file(recipe.contract))
    folder = cache() / f"bench-{_key(recipe)}"
    if folder.exists():
        print(f"no policy is named: the small one in {folder} is taken")
        return _places(folder)
    print(
        f"no policy is named: a small one is made, of {recipe.demonstrations} demonstrations and "
        f"{recipe.steps} training steps",
        flush=True,
    )
    part = folder.with_name(f".part-{folder.name}-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _make(recipe, part)
        shutil.rmtree(folder, ignore_errors=True)  # another program was quicker
        part.rename(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error}): set XDG_CACHE_HOME") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(folder.parent)
    print(f"it is in {folder}, for the next time as well")
    return _places(folder)


def cache() -> Path:
    """The user's cache of this program."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "vdd_ros"


def told(named: bool, kind: str = "small") -> str:
    """What a result says of the policy that was measured."""
    if named:
        return "named"
    return f"made: {RECIPES[kind].demonstrations} demonstrations, {RECIPES[kind].steps} steps"


def _make(recipe: Recipe, part: Path) -> None:
    at, log = _places(part), part / "log.txt"
    _vdd(
        log, "record", "--one-process", "--episodes", recipe.demonstrations, "--task", recipe.task,
        "--contract", recipe.contract, "--out", at.demonstrations,
    )  # fmt: skip
    _vdd(
        log, "train", "--episodes", at.demonstrations, "--out", at.teacher_run, "--contract",
        recipe.contract, "--held-out", recipe.held_out, "--training.steps", recipe.steps,
        "--training.batch-size", recipe.batch, "--threads", 1, "--cache", part / "decoded",
    )  # fmt: skip
    _vdd(
        log, "distill", "--teacher", at.teacher_run, "--out", at.student_run, "--training.steps",
        recipe.steps, "--threads", 1, "--pool.size", recipe.pool,
    )  # fmt: skip
    _vdd(log, "export", "--run", at.teacher_run, "--out", at.teacher)
    _vdd(log, "export", "--run", at.student_run, "--teacher", at.teacher_run, "--out", at.student)


def _vdd(log: Path, *words: object) -> None:
    """A subcommand in a process of its own: what is measured here has no part in it."""
    print(f"    vdd {words[0]}", flush=True)
    command = [sys.executable, "-m", "vdd_ros.cli", *map(str, words)]
    around = isolated(0) | {"MUJOCO_GL": drawn_by()}
    with log.open("a") as sink:
        code = subprocess.run(command, env=around, stdout=sink, stderr=sink).returncode
    if code:
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise UserError(f"no policy could be made, `vdd {words[0]}` failed ({last}): name one")


def _places(folder: Path) -> Made:
    bundles = folder / "bundles"
    return Made(
        folder / "demonstrations",
        folder / "runs" / "teacher",
        folder / "runs" / "vdd",
        bundles / "teacher",
        bundles / "vdd",
    )


def _key(recipe: Recipe) -> str:
    """Of all that it depends on."""
    contract = Contract.from_yaml(recipe.contract)
    code = code_hash("commands", "policies", "sim")  # one version has many states of it
    words = [code, contract.contract_hash, recipe.task, *recipe[2:]]
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()[:12]
