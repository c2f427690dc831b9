"""Rollouts of one bundle from several processes, none of which outlives this one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from vdd_ros.ahead import ahead_of
from vdd_ros.bundle import Bundle
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.processes import end_with_parent
from vdd_ros.sim.contexts import evaluation_context
from vdd_ros.sim.delay import Delays
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.eyes import eyes_of
from vdd_ros.sim.rollout import Rollout, rollout

_roll_out_in: Callable[[int, int], Rollout]  # set by `_begin` in each process of the pool


def rollouts_of(
    seeds: Sequence[int],
    bundle: Bundle,
    robot: Contract,
    task: str,
    processes: int,
    delays: Delays,
) -> Generator[Rollout, None, None]:
    """One rollout per seed, in their order; closing it ends the processes.

    Raises UserError when one of them died.
    """
    if not seeds:
        return
    # Processes of their own from the start: a fork would inherit whatever threads run here.
    pool = ProcessPoolExecutor(
        min(processes, len(seeds)),
        get_context("spawn"),
        _begin,
        (os.getpid(), bundle.folder, robot, task, delays),
    )
    try:
        with _sparing_children():
            futures = [pool.submit(_roll_out, task, seed) for seed in seeds]
        for future in futures:
            yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a process of the evaluation died, perhaps for lack of memory: evaluate again with "
            "fewer processes; what was finished is kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _sparing_children() -> Iterator[None]:
    """Processes started meanwhile use one thread each and leave Ctrl-C to this one."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _begin(parent: int, folder: Path, robot: Contract, task: str, delays: Delays) -> None:
    """In each process of the pool, once: what all its rollouts share."""
    global _roll_out_in
    end_with_parent(parent)
    bundle = Bundle.load(folder, robot)
    env, policy = RobosuiteEnv(task), bundle.open_policy()
    ahead, eyes = ahead_of(robot, bundle.contract), eyes_of(env, robot, bundle)
    what = partial(rollout, env, robot, policy, bundle.rule)
    _roll_out_in = partial(what, delays=delays, ahead=ahead, eyes=eyes)


def _roll_out(task: str, seed: int) -> Rollout:
    return _roll_out_in(seed, evaluation_context(task, seed))
