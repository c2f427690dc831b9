"""Align: a fork brings an open frame to a target position and angle, pushing it from inside or
from outside.

After the Aligning task of D3IL (Jia et al., 2024).
"""

from __future__ import annotations

import math

import numpy as np
from robosuite.models.objects import CompositeObject, MujocoObject
from robosuite.utils.mjcf_utils import new_element

from vdd_ros.sim.tasks.pushed import DENSITY, OFF_TABLE_Z, RED, ZONE_COLOUR, ZONE_HALF_Z, slippery
from vdd_ros.sim.tasks.table_task import TableTask

HALF = (0.06, 0.045, 0.02)  # [m] of the frame; its front is where its y axis points
WALL = 0.01  # [m] thickness
INNER = (HALF[0] - WALL, HALF[1] - WALL)  # [m] half of the opening
START, TARGET = (0.5, -0.13), (0.5, 0.13)  # [m] middle of where the frame and its target lie
SPREAD, YAW_SPREAD = 0.03, 0.4  # [m, rad] each lies no farther from there, no more turned
TOLERANCE, YAW_TOLERANCE = 0.018, 0.15  # [m, rad]
MOVED = 0.02  # [m] a frame that was pushed less far has not been pushed from anywhere
WALLS, FRONT = (0.75, 0.6, 0.4, 1.0), RED
INSIDE, OUTSIDE = 0, 1


class Align(TableTask):
    """The frame where its target is, turned as that is."""

    gripper_type = "ForkGripper"
    # [rad] Fork upright before the frame, 0.10 m above the table
    start_q = np.array([-0.3538, 0.279, -0.1594, -2.1263, 0.0648, 2.4009, 0.2308])
    time_limit_s = 20.0
    objects = ("frame", "target")
    n_modes = 2
    achieved = "aligned"

    def things(self) -> list[MujocoObject]:
        """The frame, and its picture on the table that shows the target."""
        return [_frame(), _picture()]

    def place(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The frame on this side, its target on the other."""
        spread = np.array([SPREAD, SPREAD, 0.0, YAW_SPREAD])
        frame = np.array([*START, HALF[2], 0.0]) + spread * rng.uniform(-1.0, 1.0, 4)
        target = np.array([*TARGET, ZONE_HALF_Z, 0.0]) + spread * rng.uniform(-1.0, 1.0, 4)
        return {"frame": frame, "target": target}

    def begin(self) -> None:
        """Not pushed yet."""
        self._at: np.ndarray | None = None  # where the frame was one physics step ago
        self._way = [0.0, 0.0]  # [m] that the frame was moved, by where the fork was

    def fault(self, tool: np.ndarray) -> str | None:
        """The frame off the table."""
        return "the frame fell off the table" if self.position("frame")[2] < OFF_TABLE_Z else None

    def progress(self, tool: np.ndarray) -> int:
        """1 where the frame is aligned."""
        at, turned = self.position("frame"), self.rotation("frame")
        if self._at is not None:
            moved = math.hypot(at[0] - self._at[0], at[1] - self._at[1])
            self._way[self._side(tool - at, turned)] += moved
        self._at = at
        off = self.position("target") - at
        if math.hypot(off[0], off[1]) > TOLERANCE:
            return 0
        wanted = self.rotation("target")
        # Cosine of the angle between the two x axes
        return int(turned[:, 0] @ wanted[:, 0] >= math.cos(YAW_TOLERANCE))

    def _side(self, away: np.ndarray, turned: np.ndarray) -> int:
        """Whether the fork's tip, `away` from the frame's centre, is in its opening."""
        x, y, z = away @ turned
        inside = abs(x) < INNER[0] and abs(y) < INNER[1] and z < HALF[2]
        return INSIDE if inside else OUTSIDE

    def mode(self) -> int | None:
        """From where the frame was pushed most of its way."""
        inside, outside = self._way
        if inside + outside < MOVED:
            return None
        return INSIDE if inside > outside else OUTSIDE


def _frame() -> CompositeObject:
    made = CompositeObject("frame", density=DENSITY, geom_frictions=[[0.5, 0.005, 1e-4]] * 4,
                           **_walls(HALF[2], WALLS, FRONT))  # fmt: skip
    slippery(made)
    return made


def _picture() -> CompositeObject:
    """Free to be put anywhere, without weight, and nothing touches it."""
    made = CompositeObject("target", obj_types="visual", **_walls(ZONE_HALF_Z, ZONE_COLOUR, FRONT))
    body = made.get_obj()
    body.set("gravcomp", "1")
    # robosuite counts no mass of what is only seen, mujoco moves nothing without mass
    body.append(
        new_element("inertial", None, pos="0 0 0", mass="0.1", diaginertia="1e-3 1e-3 1e-3")
    )
    return made


def _walls(half_z: float, colour, front) -> dict:
    """Four walls about an opening, as CompositeObject takes them: back, left, right and front."""
    half = WALL / 2
    side = [half, INNER[1], half_z]
    across = [HALF[0], half, half_z]
    return {
        "total_size": [HALF[0], HALF[1], half_z],
        "geom_types": ["box"] * 4,
        "geom_sizes": [across, side, side, across],
        "geom_locations": [
            [0.0, -HALF[1] + half, 0.0],
            [-HALF[0] + half, 0.0, 0.0],
            [HALF[0] - half, 0.0, 0.0],
            [0.0, HALF[1] - half, 0.0],
        ],
        "geom_rgbas": [colour, colour, colour, front],
        "locations_relative_to_center": True,
    }
