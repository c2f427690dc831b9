"""Whether poses say enough before anything is solved, and what a person does where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews, Mounting, Sightings
from vdd_ros.calibration.hand_eye_start import Start, start_of
from vdd_ros.errors import UserError

FEWEST_VIEWS, GOOD_VIEWS = 6, 15
LEAST_TURN_RAD = np.radians(8.0)  # root mean square from the middle, about two axes
GOOD_TURN_RAD = np.radians(15.0)
AXES = ("x", "y", "z")
BETTER_OTHER_WAY = 0.25  # misfit the other way round over the misfit as stated
LEAST_MISFIT_M = 0.002  # below which the frames are as stated, whatever else
SIZE_WITHIN = 0.03  # by which a board may be larger or smaller than stated
SIZE_SIGMAS, SIZE_KNOWN = 5.0, 0.02
EVERYDAY = {1000.0: "millimetres", 100.0: "centimetres", 1.0 / 0.0254: "inches"}


@dataclass(frozen=True)
class Spread:
    """How far the tool turns and moves over N views.

    turns: (3,) about the tool's x, y, z [rad], root mean square from their middle; principal: (3,)
    the same about the axes of most, medium and least turning; main: (3,) the first of these axes in
    the tool; reach: (3,) along the base's x, y, z [m], greatest minus least.
    """

    views: int
    turns: np.ndarray
    principal: np.ndarray
    main: np.ndarray
    reach: np.ndarray

    @property
    def advice(self) -> tuple[str, ...]:
        """What would make the result better, as sentences without a full stop; none where it is
        good."""
        found = []
        if (more := GOOD_VIEWS - self.views) > 0:
            found.append(f"take {more} more view{'s' * (more > 1)}")
        most, second = np.degrees(self.principal[:2])
        good = np.degrees(GOOD_TURN_RAD)
        if second >= good:
            return tuple(found)
        # the tool's axes that are least what it turns about already
        across = sorted(
            range(3), key=lambda at: (round(float(abs(self.main[at])), 1), self.turns[at])
        )
        if most < good:
            one, other = (AXES[at] for at in across[:2])
            found.append(
                f"turn the wrist more about {one}, and about {other} (so far {most:.0f} degrees "
                f"about any axis, {good:.0f} are good)"
            )
        else:
            found.append(
                f"turn the wrist more about {AXES[across[0]]} (so far {second:.0f} degrees about "
                f"any second axis, {good:.0f} are good)"
            )
        return tuple(found)


def spread_of_poses(tools: np.ndarray) -> Spread:
    """tools: (N, 4, 4) T_base_tool."""
    middle = rigid.mean_pose(tools)
    turns = rigid.log_rotation(middle[:3, :3].T @ tools[:, :3, :3])
    squared, axes = np.linalg.eigh(turns.T @ turns / len(tools))
    principal = np.sqrt(squared[::-1].clip(0.0))
    reach = np.ptp(tools[:, :3, 3], axis=0)
    return Spread(len(tools), np.sqrt((turns**2).mean(0)), principal, axes[:, -1], reach)


def require_enough(views: BoardViews, sightings: Sightings) -> Spread:
    """What can be known before solving; raises UserError where it is too little, or the board is
    mirrored."""
    spread = spread_of_poses(views.tools)
    if len(views) < FEWEST_VIEWS:
        raise UserError(
            f"{len(views)} views of the board are too few, at least {FEWEST_VIEWS} are needed, and "
            f"{GOOD_VIEWS} are good: take more"
        )
    if spread.principal[0] < LEAST_TURN_RAD:
        raise UserError(
            f"the tool turns by {np.degrees(spread.principal[0]):.1f} degrees from view to view "
            f"(root mean square), at least {np.degrees(LEAST_TURN_RAD):.0f} about two axes are "
            "needed: where it only moves along, nothing tells where the camera is. "
            + _sentence(spread)
        )
    if spread.principal[1] < LEAST_TURN_RAD:
        raise UserError(
            f"the tool turns about one axis only ({np.degrees(spread.principal[0]):.0f} degrees, "
            f"and {np.degrees(spread.principal[1]):.1f} about any other), by which the camera's "
            "place along that axis cannot be told: " + _sentence(spread)
        )
    facing = (sightings.boards[:, :3, 2] * sightings.boards[:, :3, 3]).sum(1) > 0.0
    if facing.mean() < 0.5:
        raise UserError(
            "the board is seen from behind in most views: it is mirrored, or its corners are "
            "numbered the other way round; print it as `vdd calibrate board` makes it, and do not "
            "flip pictures"
        )
    return spread


def require_frames(
    views: BoardViews, sightings: Sightings, start: Start | None, rng: np.random.Generator
) -> Start:
    """The start, unless the views go much better with the frames the other way round, or with a
    board of another size; then raises UserError."""
    carried, radius = views.carried(), views.radius_m
    if start is not None and start.misfit_m < LEAST_MISFIT_M * radius / 0.1:
        return start
    other = start_of(rigid.inverse(carried), sightings.boards, radius, rng)
    if other is not None and (start is None or other.misfit_m < BETTER_OTHER_WAY * start.misfit_m):
        raise UserError(
            f"the views fit with the arm's poses the other way round ({1e3 * other.misfit_m:.1f} "
            f"mm instead of {1e3 * _misfit(start):.1f} mm): either they are the base in the tool "
            f"and have to be the tool in the base, or the camera is {_other(views.mounting)}"
        )
    if start is None:
        raise UserError(
            "no solver places the camera: take views in which the tool turns more, about two axes"
        )
    require_size(carried, sightings.boards, start.camera)
    return start


def require_size(carried: np.ndarray, boards: np.ndarray, camera: np.ndarray) -> None:
    """Raise UserError where the arm's motion says that the board is of another size than stated.

    carried, boards: (N, 4, 4) B_i and T_cam_board of views that fit; camera: (4, 4) X.
    """
    factor, std = size_of_board(carried, boards, camera)
    # what contradicts itself says no size either
    if abs(factor - 1.0) > max(SIZE_WITHIN, SIZE_SIGMAS * std) and std < SIZE_KNOWN * abs(factor):
        raise UserError(
            f"the arm's motion says that the board is {factor:.4g} times as large as stated"
            f"{_in_unit(factor)}: measure a square and correct square_m"
        )


def size_of_board(
    carried: np.ndarray, boards: np.ndarray, camera: np.ndarray
) -> tuple[float, float]:
    """How many times as large as stated a board is by the arm's motion, and its standard deviation.

    B_R t_Y - R_X t_i s - t_X = -B_t, for t_Y, t_X and s, by least squares. Rotations do not depend
    on the board's size, so R_X is that of `camera`. An arm that only turns tells no size: (1, inf).
    """
    count = len(carried)
    a = np.zeros((count, 3, 7))
    a[:, :, :3] = carried[:, :3, :3]
    a[:, :, 3:6] = -np.eye(3)
    a[:, :, 6] = -boards[:, :3, 3] @ camera[:3, :3].T
    flat, told = a.reshape(-1, 7), -carried[:, :3, 3].ravel()
    found, _, rank, _ = np.linalg.lstsq(flat, told, rcond=None)
    if rank < 7:
        return 1.0, np.inf
    left = told - flat @ found
    variance = (left @ left) / (len(told) - 7) * np.linalg.inv(flat.T @ flat)[6, 6]
    return float(found[6]), float(np.sqrt(variance))


def _sentence(spread: Spread) -> str:
    advice = [one for one in spread.advice if one.startswith("turn")]
    return ", and ".join(advice) or "turn the wrist about x, then about y"


def _in_unit(factor: float) -> str:
    for ratio, unit in EVERYDAY.items():
        for one in (ratio, 1.0 / ratio):
            if abs(factor / one - 1.0) < SIZE_WITHIN:
                return f" (was it written in {unit}?)"
    return ""


def _misfit(start: Start | None) -> float:
    return np.inf if start is None else start.misfit_m


def _other(mounting: Mounting) -> str:
    return "not on the arm but beside it" if mounting == "eye_in_hand" else "on the arm"
