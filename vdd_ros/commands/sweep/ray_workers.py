"""Workers on a Ray cluster: the same parts, wherever there is a processor free."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vdd_ros.commands.sweep.workers import log_of, tell_end
from vdd_ros.errors import UserError


def work_on_ray(
    words: Sequence[object],
    parts: Sequence[str],
    out: Path,
    address: str,
    ended: Callable[[], None],
) -> dict[str, str]:
    """Run `vdd WORDS --part PART` for each part, one processor each, its log in out/logs; one that
    fails stops nothing.

    address: of a cluster that is up, as ray.init takes it, or local for one of this machine alone,
    which ends with the sweep; ended: called here whenever a part ends, also by failing. `out`, the
    plan and this program must be at the same place for all its machines. Returns what became of
    those that failed, a sentence each by name; raises UserError where Ray is missing or out of
    reach.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError:
        raise UserError("--ray needs Ray: pip install vdd_ros[ray]") from None
    try:
        # one that is begun for this sweep alone is nobody else's business
        own: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
        ray.init(address, **(own if address == "local" else {}), log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        told = str(error).splitlines()[0]
        raise UserError(
            f"no Ray cluster at {address!r} ({told}): start one with ray start --head"
        ) from None
    failed: dict[str, str] = {}
    try:
        run = ray.remote(num_cpus=1, max_retries=0)(_run)
        waiting = {run.remote([*map(str, words)], one, str(log_of(out, one))): one for one in parts}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            name = waiting.pop(done)
            code = ray.get(done)
            ended()
            tell_end(name, code, log_of(out, name), failed)
    finally:
        ray.shutdown()
    return failed


def _run(words: list[str], part: str, log: str) -> int:
    """On a machine of the cluster."""
    with Path(log).open("ab") as file:
        return subprocess.run(
            [sys.executable, "-m", "vdd_ros.cli", *words, "--part", part],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        ).returncode
