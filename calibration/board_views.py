"""BoardViews: a board seen by a camera in many poses of the arm, as flat arrays.

Whether the camera or the board is on the arm, one equation holds for every view i:

    T_cam_board(i) = X^-1 B_i Y

    eye_in_hand   X = T_tool_cam   Y = T_base_board   B_i = T_base_tool(i)^-1
    eye_to_hand   X = T_base_cam   Y = T_tool_board   B_i = T_base_tool(i)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Corners, opencv
from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.lens import Lens
from vdd_ros.errors import UserError

Mounting = Literal["eye_in_hand", "eye_to_hand"]
LEAST_NOISE_PX = 1e-9  # of pictures that were computed, so that it can be divided by


@dataclass(frozen=True)
class BoardViews:
    """N views with M corners together.

    tools: (N, 4, 4) T_base_tool; corners of view i are those with view == i: view (M,), points
    (M, 3) in the board's frame [m], pixels (M, 2). joints: (N, n) [rad, m] of `chain`, where the
    tool's poses come from joints; None where they were told as poses.
    """

    mounting: Mounting
    lens: Lens
    tools: np.ndarray
    view: np.ndarray
    points: np.ndarray
    pixels: np.ndarray
    chain: Chain | None = None
    joints: np.ndarray | None = None

    @classmethod
    def of_poses(
        cls, mounting: Mounting, lens: Lens, tools: np.ndarray, corners: Sequence[Corners]
    ) -> BoardViews:
        """tools: (N, 4, 4) T_base_tool, one for the corners of each view."""
        view = np.repeat(np.arange(len(corners)), [len(one.ids) for one in corners])
        points = np.concatenate([one.points for one in corners])
        pixels = np.concatenate([one.pixels for one in corners])
        return cls(mounting, lens, tools, view, points, pixels)

    @classmethod
    def of_joints(
        cls,
        mounting: Mounting,
        lens: Lens,
        chain: Chain,
        joints: np.ndarray,
        corners: Sequence[Corners],
    ) -> BoardViews:
        """joints: (N, n) [rad, m] in the order of `chain`."""
        plain = cls.of_poses(mounting, lens, chain.poses(joints), corners)
        return replace(plain, chain=chain, joints=joints)

    def __len__(self) -> int:
        return len(self.tools)

    def chosen(self, views: np.ndarray, corners: np.ndarray | None = None) -> BoardViews:
        """Those of a mask (N,) of views, and of one (M,) of corners."""
        kept = views[self.view] & (True if corners is None else corners)
        number = np.cumsum(views) - 1
        return replace(
            self,
            tools=self.tools[views],
            view=number[self.view[kept]],
            points=self.points[kept],
            pixels=self.pixels[kept],
            joints=None if self.joints is None else self.joints[views],
        )

    def carried(self, offsets: np.ndarray | None = None) -> np.ndarray:
        """(N, 4, 4) B_i; offsets: (n,) that are added to all joints."""
        tools = self.tools
        if offsets is not None and self.chain is not None and self.joints is not None:
            tools = self.chain.poses(self.joints + offsets)
        return carried(self.mounting, tools)

    def per_view(self, values: np.ndarray) -> np.ndarray:
        """(M, ...) -> (N, ...) sums over the corners of each view."""
        found = np.zeros((len(self), *values.shape[1:]))
        np.add.at(found, self.view, values)
        return found

    @property
    def counts(self) -> np.ndarray:
        """(N,) corners of each view."""
        return np.bincount(self.view, minlength=len(self))

    @property
    def radius_m(self) -> float:
        """Root mean square distance of corners from their middle [m]."""
        return float(np.sqrt(((self.points - self.points.mean(0)) ** 2).sum(1).mean()))


def carried(mounting: Mounting, tools: np.ndarray) -> np.ndarray:
    """(N, 4, 4) T_base_tool -> (N, 4, 4) B_i."""
    return rigid.inverse(tools) if mounting == "eye_in_hand" else tools


@dataclass(frozen=True)
class Sightings:
    """Each view by itself, whatever the arm says.

    boards: (N, 4, 4) T_cam_board; errors: (N,) root mean square reprojection error [pixels];
    noise: standard deviation of one pixel coordinate, from what no pose explains [pixels]; above 0.
    """

    boards: np.ndarray
    errors: np.ndarray
    noise: float


def sightings_of(views: BoardViews) -> Sightings:
    """Where the board is in each view; raises UserError where that cannot be said."""
    cv2 = opencv()
    matrix, distortion = views.lens.matrix, views.lens.distortion
    boards, squared = np.empty((len(views), 4, 4)), np.zeros(len(views))
    for index in range(len(views)):
        here = views.view == index
        points, pixels = views.points[here], views.pixels[here]
        done, turns, moves, errors = cv2.solvePnPGeneric(
            points, pixels, matrix, distortion, flags=cv2.SOLVEPNP_IPPE
        )
        if not done:
            raise UserError(
                f"view {index} shows too little of the board to place it: leave it out, and show "
                "more of the board"
            )
        best = int(np.argmin(errors))
        turn, move = cv2.solvePnPRefineLM(
            points, pixels, matrix, distortion, turns[best].copy(), moves[best].copy()
        )
        boards[index] = rigid.pose(cv2.Rodrigues(turn)[0], move.ravel())
        left = views.lens.pixels(rigid.moved(boards[index], points)) - pixels
        squared[index] = (left**2).sum()
    variances = squared / (2 * views.counts - 6)  # a pose takes six numbers away
    noise = max(float(np.sqrt(np.median(variances))), LEAST_NOISE_PX)
    return Sightings(boards, np.sqrt(squared / views.counts), noise)
