"""How far a policy that drives the simulated arm itself gets from its training set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.action_loop import ActionLoop
from vdd_ros.bundle import Bundle
from vdd_ros.conformal import RunningMean
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.sim.contexts import TRIAL_SEED, evaluation_context
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.rollout import drive, wire


class RolloutAlarm(NamedTuple):
    """score: largest running mean of the distance; alarm_s: when it was first above the threshold,
    NaN if never, ended_s: when the rollout ended [s since its beginning]."""

    score: float
    alarm_s: float
    ended_s: float
    success: bool


def rollout_alarms(
    folder: Path,
    robot: Contract,
    task: str,
    rollouts: int,
    report: Callable[[int, int], None],
) -> list[RolloutAlarm]:
    """Of the bundle in `folder`, in scenes that nothing is judged in; nothing reacts to an alarm.

    Raises UserError for a bundle that does not fit the robot or has no threshold.
    """
    wire(robot, task)
    bundle = Bundle.load(folder, robot)
    detector, policy = bundle.ood_detector, bundle.open_policy()
    if detector is None or detector.distance is None:
        raise UserError(
            f"bundle {folder} has no threshold of what is out of distribution: export it anew with "
            "more held-out episodes (--calibration)"
        )
    env, period_s = RobosuiteEnv(task), robot.control_period_ns * 1e-9
    found = []
    for number in range(rollouts):
        seed = TRIAL_SEED + number
        loop = ActionLoop(robot, policy, bundle.rule, np.random.default_rng(seed), lambda: 0.0)
        running = RunningMean(detector.running_ticks)
        means = np.array(
            [
                running.add(detector.distance_of(tick.window.values))
                for tick in drive(env, robot, loop, evaluation_context(task, seed), [])
                if tick.window is not None
            ]
        )
        above = np.flatnonzero(means > detector.distance.value)
        alarm_s = above[0] * period_s if len(above) else np.nan
        found.append(
            RolloutAlarm(means.max(), alarm_s, len(means) * period_s, env.status().success)
        )
        report(number + 1, rollouts)
    env.close()
    return found
