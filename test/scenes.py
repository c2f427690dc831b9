"""Scenes that no context has: things moved by hand."""

from __future__ import annotations

import numpy as np

from vdd_ros.sim.env import RobosuiteEnv


def moved(env: RobosuiteEnv, places: dict[str, tuple[float, float, float]], context: int = 0):
    """Reset to a context, but with some things upright elsewhere [m, base frame]."""
    env.reset(context)
    task = env.task
    scene = task.sim.data.qpos.copy()
    for name, place in places.items():
        first, _ = task.sim.model.get_joint_qpos_addr(f"{name}_joint0")
        scene[first : first + 7] = (*(task.table_origin + place), 1.0, 0.0, 0.0, 0.0)
    env.reset(context, scene=scene)


def poses_in(env: RobosuiteEnv, context: int) -> np.ndarray:
    """(objects, 7) as a context begins."""
    env.reset(context)
    return env.poses()
