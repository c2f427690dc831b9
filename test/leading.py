"""A scripted operator leads the simulated arm directly, without gate and recorder."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.demonstrators.operator import Operator, Seen, seen_of
from vdd_ros.sim.env import RobosuiteEnv

TICK_S = 0.01


def seen(env: RobosuiteEnv) -> Seen:
    return seen_of(env.observe().position, env.task.objects, env.poses())


def lead(env: RobosuiteEnv, operator: Operator, mode: int, context: int) -> np.ndarray:
    """One episode until the operator lets go or fails; its targets (T, J) [rad, fraction]."""
    env.reset(context)
    operator.begin(seen(env), mode)
    targets: list[np.ndarray] = []
    while (target := operator.command(len(targets) * TICK_S, seen(env))) is not None:
        if env.status().finished and not env.status().success:
            break
        targets.append(target)
        env.apply(target)
        env.advance(TICK_S)
    return np.array(targets)
