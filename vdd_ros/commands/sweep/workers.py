"""Workers: parts of a sweep in processes of their own, so many at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vdd_ros.errors import UserError

POLL_S = 0.5


def work_on_all(
    words: Sequence[object],
    parts: Sequence[str],
    out: Path,
    processes: int,
    ended: Callable[[], None],
) -> dict[str, str]:
    """Run `vdd WORDS --part PART` for each part, its log in out/logs; one that fails stops nothing.

    ended: called whenever a part ends, also by failing. Returns what became of those that failed,
    a sentence each by name.
    """
    waiting = list(parts)
    running: dict[str, subprocess.Popen] = {}
    failed: dict[str, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                name = waiting.pop(0)
                running[name] = _start([*words, "--part", name], log_of(out, name))
            time.sleep(POLL_S)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                ended()
                tell_end(name, code, log_of(out, name), failed)
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    return failed


def tell_end(name: str, code: int, log: Path, failed: dict[str, str]) -> None:
    """Print how a part ended, and add it to `failed` if it did so by failing."""
    if not code:
        print(f"{name} is done", flush=True)
        return
    last = log.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
    failed[name] = f"{name} ended with exit code {code}: {last} (all it said is in {log})"
    print(failed[name], file=sys.stderr, flush=True)


def require_none(failed: dict[str, str]) -> None:
    """Raise UserError where parts have failed."""
    if failed:
        first = next(iter(failed.values()))
        others = f"; so did {', '.join(list(failed)[1:])}" if len(failed) > 1 else ""
        raise UserError(f"{first}{others}: mend it and sweep again, what is finished is kept")


def log_of(out: Path, part: str) -> Path:
    """Where a part's process says what it says."""
    path = out / "logs" / f"{part.replace('/', '-')}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _start(words: Sequence[object], log: Path) -> subprocess.Popen:
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "vdd_ros.cli", *map(str, words)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def spread(
    args, words: Sequence[object], parts: Sequence[str], ended: Callable[[], None]
) -> dict[str, str]:
    """Work on all parts, here or on a cluster, as the command line says; ended: called whenever
    one ends. Returns those that failed, as `work_on_all` does."""
    if args.ray is not None:
        from vdd_ros.commands.sweep.ray_workers import work_on_ray

        return work_on_ray(words, parts, args.out, args.ray, ended)
    return work_on_all(words, parts, args.out, args.processes, ended)
