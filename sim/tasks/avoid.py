"""Avoid: a rod on the Panda's flange crosses a field of six cylinders without touching one.

After the Avoiding task of D3IL (Jia et al., 2024): three rows of one, two and three cylinders
leave 24 ways, so both success and the diversity of a policy can be read off a path.
"""

from __future__ import annotations

import numpy as np
from robosuite.models.objects import CylinderObject, MujocoObject
from robosuite.utils.mjcf_utils import array_to_string

from vdd_ros.sim.avoid_field import FIELD, N_WAYS, way
from vdd_ros.sim.tasks.table_task import TableTask


class Avoid(TableTask):
    """Across the field of `vdd_ros.sim.avoid_field`, any of its ways."""

    # [rad] Rod upright at the start of the field, elbow where the operator's kinematics puts it
    start_q = np.array([-0.5171, 0.554, -0.0849, -1.8627, 0.0671, 2.4139, 0.1465])
    time_limit_s = FIELD.time_limit_s
    n_modes = N_WAYS
    contexts = 1  # nothing on the table moves
    achieved = "crossed"

    def things(self) -> list[MujocoObject]:
        """The six cylinders, which stand fast."""
        return [self._cylinder(i, *xy) for i, xy in enumerate(FIELD.cylinders())]

    def _cylinder(self, number: int, x: float, y: float) -> CylinderObject:
        half = FIELD.cylinder_height / 2
        cylinder = CylinderObject(
            f"cylinder_{number}",
            size=[FIELD.cylinder_radius, half],
            rgba=[0.2, 0.4, 0.7, 1],
            joints=None,
        )
        cylinder.get_obj().set("pos", array_to_string(self.table_origin + (x, y, half)))
        return cylinder

    def begin(self) -> None:
        """A new path."""
        self._path: list[np.ndarray] = []

    def fault(self, tool: np.ndarray) -> str | None:
        """Any contact at all (at rest and in free motion there is none), or over the field."""
        self._path.append(tool[:2].copy())
        if touching := self.contacts():
            return f"touched: {' and '.join(touching[0])}"
        return "lifted the rod over the field" if tool[2] > FIELD.cylinder_height else None

    def progress(self, tool: np.ndarray) -> int:
        """1 beyond the finish line."""
        return int(tool[1] >= FIELD.finish_y)

    def mode(self) -> int | None:
        """The way taken."""
        return way(np.array(self._path))
