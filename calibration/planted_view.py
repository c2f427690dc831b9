"""A camera and a board that see each other where a simulated arm begins."""

from __future__ import annotations

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Board
from vdd_ros.calibration.board_views import Mounting

# In the tool's frame, whose z points down where the arm begins: beside it, and well above a table.
HELD_AT_M = np.array([0.09, 0.0, -0.16])
AHEAD_M = 0.5  # from the camera to the board's middle


def facing(tool: np.ndarray, board: Board, mounting: Mounting) -> tuple[np.ndarray, np.ndarray]:
    """tool: (4, 4) T_base_tool where the arm begins -> (4, 4) of the camera and of the board, X and
    Y as of `board_views.py`. The camera looks level, along the tool's x or against it."""
    width, height = board.size_m
    seen = rigid.pose(np.eye(3), np.array([-width / 2.0, -height / 2.0, AHEAD_M]))  # T_cam_board
    ex, ey, ez = np.eye(3)
    if mounting == "eye_in_hand":
        camera = rigid.pose(np.stack([ey, ez, ex], axis=1), HELD_AT_M)
        return camera, tool @ camera @ seen
    middle = rigid.pose(np.stack([-ey, ez, -ex], axis=1), HELD_AT_M)
    camera_in_tool = middle @ rigid.pose(np.eye(3), np.array([0.0, 0.0, -AHEAD_M]))
    return tool @ camera_in_tool, camera_in_tool @ seen
