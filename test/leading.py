"""A scripted operator leads the simulated arm directly, and scenes that no context has."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim import loops
from vdd_ros.sim.demonstrators.operator import Operator
from vdd_ros.sim.env import RobosuiteEnv

TICK_S = 0.01


def lead(env: RobosuiteEnv, operator: Operator, mode: int, context: int) -> np.ndarray:
    """One episode until the operator lets go or fails; its targets (T, J) [rad, fraction]."""
    env.reset(context)
    return np.array(list(loops.lead(env, operator, mode, TICK_S)))


def moved(env: RobosuiteEnv, places: dict[str, tuple[float, ...]], context: int = 0):
    """Reset to a context, but with some things elsewhere: x, y, z [m, base frame] and, if not 0,
    their angle about z [rad]."""
    env.reset(context)
    task = env.task
    scene = task.sim.data.qpos.copy()
    for name, (x, y, z, *turned) in places.items():
        first, end = task.sim.model.get_joint_qpos_addr(f"{name}_joint0")
        half = sum(turned) / 2
        quat_wxyz = np.cos(half), 0.0, 0.0, np.sin(half)
        scene[first:end] = (*(task.table_origin + (x, y, z)), *quat_wxyz)
    env.reset(context, scene=scene)


def poses_in(env: RobosuiteEnv, context: int) -> np.ndarray:
    """(objects, 7) as a context begins."""
    env.reset(context)
    return env.poses()
