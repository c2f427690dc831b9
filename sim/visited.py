"""Visited: the observations that a policy gets into when it drives the simulated arm itself.

A policy that errs a little sees what nobody demonstrated. A teacher that is a score needs no labels
there, so its students can be distilled on those observations as well (Ross et al. 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vdd_ros.action_loop import ActionLoop
from vdd_ros.bundle import Bundle
from vdd_ros.contract import Contract
from vdd_ros.sim.contexts import VISITED
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.rollout import drive, wire


def visited_windows(
    folder: Path,
    robot: Contract,
    task: str,
    episodes: int,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """(N, To, Do) windows at every control tick of so many rollouts of the bundle in `folder`, in
    contexts that were neither demonstrated nor are judged in. Raises UserError for a bundle that
    does not fit the robot.
    """
    wire(robot, task)
    bundle = Bundle.load(folder, robot)
    env, policy = RobosuiteEnv(task), bundle.open_policy()
    windows: list[np.ndarray] = []
    for episode in range(episodes):
        rng = np.random.default_rng((seed, episode))
        loop = ActionLoop(robot, policy, bundle.rule, rng, lambda: 0.0)
        ticks = drive(env, robot, loop, VISITED + episode, [])
        windows += [tick.window.values for tick in ticks if tick.window is not None]
        report(episode + 1, episodes)
    env.close()
    return np.array(windows)
