"""One hand-drawn line through the field: which points a person aims at, and the curve between."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from vdd_ros.sim.avoid_field import FIELD, gaps, way

KNOT_SPACING = 0.01  # [m] along the line
CLEARANCE = 0.010  # [m] a person keeps at least between rod and cylinder
OUTER_OFFSET = 0.055  # [m] from the outermost cylinder when passing a row on its outside
GAP_STD, GAP_MAX = 0.016, 0.030  # [m] aim error at a row, and where it is cut
END_Y = 0.05  # [m] beyond the finish line
REACH = (0.30, 0.785)  # [m] from the base's axis where the Panda holds the rod upright with ease
MAX_TRIES = 200


def draw_route(rng: np.random.Generator, start_xy: np.ndarray, number: int) -> np.ndarray:
    """A smooth line along way `number`, about KNOT_SPACING apart, shape (T, 2) [m, base frame].

    Aims at a random point of each gap and already heads for the next one while it passes, so that
    one sees early where it goes; starts over if the line passes a cylinder closer than CLEARANCE or
    leaves REACH.

    Raises RuntimeError if MAX_TRIES lines all did: there is no room from that start.
    """
    for _ in range(MAX_TRIES):
        route = _curve(_aims(rng, start_xy, number))
        distance = np.linalg.norm(route, axis=1)
        reachable = REACH[0] <= distance.min() and distance.max() <= REACH[1]
        if reachable and FIELD.clearance(route) >= CLEARANCE and way(route) == number:
            return route
    raise RuntimeError(f"no clear line found along way {number} from {start_xy}")


def _aims(rng, start_xy, number) -> np.ndarray:
    """Points of the line: start, one in each row's gap, end; shape (5, 2) [m]."""
    row_x = np.array([_gap_x(row, gap) for row, gap in enumerate(gaps(number))])
    row_x += np.clip(GAP_STD * rng.standard_normal(3), -GAP_MAX, GAP_MAX)
    end_x = row_x[2] + 0.3 * (FIELD.centre_x - row_x[2]) + 0.015 * rng.standard_normal()
    end = (end_x, FIELD.finish_y + END_Y + 0.005 * rng.standard_normal())
    return np.vstack([start_xy, np.stack([row_x, FIELD.rows_y], axis=-1), end])


def _gap_x(row: int, gap: int) -> float:
    """Where a person aims in `gap` of `row` [m]: its middle, or beside the outermost cylinder."""
    x = FIELD.row_x(row)
    edges = np.concatenate([[x[0] - 2 * OUTER_OFFSET], x, [x[-1] + 2 * OUTER_OFFSET]])
    return float(edges[gap] + edges[gap + 1]) / 2


def _curve(points: np.ndarray) -> np.ndarray:
    """Natural cubic spline through `points` (N, 2), resampled evenly in arc length (T, 2)."""
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    spline = CubicSpline(chord, points, bc_type="natural")
    fine = spline(np.linspace(0.0, chord[-1], 600))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    count = int(np.ceil(length[-1] / KNOT_SPACING)) + 1
    even = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(even, length, fine[:, 0]), np.interp(even, length, fine[:, 1])], -1)
