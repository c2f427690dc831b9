"""Where the six cylinders stand and which of the 24 ways a path takes. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_WAYS = 24  # 2 sides x 3 gaps x 4 gaps


@dataclass(frozen=True)
class AvoidField:
    """The field, in metres in the robot's base frame (x forward, y left, z up; z = 0 is the table).

    The rod travels towards +y; across the travel lies x. Seen from above:

            y
      +0.28 |----------------- finish line -----------------
      +0.18 |     0     o     1     o     2     o     3        row 3: 3 cylinders, 4 gaps
       0.00 |           0     o     1     o     2              row 2: 2 cylinders, 3 gaps
      -0.18 |                 0     o     1                    row 1: 1 cylinder,  2 sides
      -0.36 |                       S                          start
            +-----------------------+--------------------- x
                                   0.53

    Neighbours in a row are 0.155 m apart: minus cylinder and rod radii that leaves the rod's axis
    119 mm, so a hand that is 30 mm off the middle of a gap still passes with 29 mm to spare.
    """

    centre_x: float = 0.53
    spacing_x: float = 0.155
    rows_y: tuple[float, float, float] = (-0.18, 0.0, 0.18)
    start_y: float = -0.36
    finish_y: float = 0.28
    cylinder_radius: float = 0.012
    cylinder_height: float = 0.10
    rod_radius: float = 0.006
    rod_height: float = 0.04  # of the rod's lower end above the table
    time_limit_s: float = 10.0

    def row_x(self, row: int) -> np.ndarray:
        """x of the cylinders of `row` (0, 1, 2), ascending, shape (row + 1,) [m]."""
        return self.centre_x + self.spacing_x * (np.arange(row + 1) - row / 2)

    def cylinders(self) -> np.ndarray:
        """Centres (x, y) of the six cylinders, shape (6, 2) [m]."""
        return np.array([(x, y) for row, y in enumerate(self.rows_y) for x in self.row_x(row)])

    def clearance(self, path_xy: np.ndarray) -> float:
        """Smallest distance between rod and cylinder surfaces over `path_xy` (T, 2) [m]."""
        apart = np.linalg.norm(path_xy[:, None] - self.cylinders()[None], axis=-1)
        return float(apart.min() - self.cylinder_radius - self.rod_radius)


FIELD = AvoidField()


def gaps(way: int) -> tuple[int, int, int]:
    """Gap taken in each row, counted from small x: (0..1, 0..2, 0..3) for `way` 0..23."""
    if not 0 <= way < N_WAYS:
        raise ValueError(f"way {way} is not one of 0..{N_WAYS - 1}")
    return way // 12, way // 4 % 3, way % 4


def way(path_xy: np.ndarray, field: AvoidField = FIELD) -> int | None:
    """Number of the way that `path_xy` (T, 2) [m] takes, None if it has not passed all rows.

    A row is passed where the path crosses the row's line for the last time: a path that looks
    into one gap, backs out and takes another took the other.
    """
    number = 0
    for row, line_y in enumerate(field.rows_y):
        beyond = path_xy[:, 1] >= line_y
        if not len(beyond) or not beyond[-1] or beyond.all():
            return None
        after = int(np.flatnonzero(~beyond)[-1]) + 1
        (x0, y0), (x1, y1) = path_xy[after - 1], path_xy[after]
        x = x0 + (x1 - x0) * (line_y - y0) / (y1 - y0)
        number = number * (row + 2) + int(np.searchsorted(field.row_x(row), x))
    return number
