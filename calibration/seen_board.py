"""The board in a log's pictures by one camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.calibration.board import Board, Corners
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError


class Seen(NamedTuple):
    """Poses whose picture by a camera shows the board: their places in the log, and the corners of
    each."""

    camera: str
    places: list[int]
    corners: list[Corners]


def seen_by(log: PoseLog, camera: str) -> Seen:
    """The board in the pictures of one camera; raises UserError where there are none, or of
    another size than the contract says."""
    board = log.header.board
    if board is None:
        raise UserError(f"{log.folder} says of no board; take poses with pictures of one")
    found = Seen(camera, [], [])
    sizes = set()
    for place, pose in enumerate(log.poses):
        if camera not in pose.pictures:
            continue
        picture = log.picture(pose, camera)
        sizes.add(picture.shape[1::-1])
        corners = board.corners_in(picture)
        if corners is not None:
            found.places.append(place)
            found.corners.append(corners)
    if not sizes:
        known = sorted({name for pose in log.poses for name in pose.pictures})
        raise UserError(
            f"{log.folder} has no pictures of {camera}, only of {', '.join(known) or 'no camera'}"
        )
    if len(sizes) > 1:
        raise UserError(f"pictures of {camera} in {log.folder} differ in size: {sorted(sizes)}")
    if not found.places:
        _require_not_mirrored(log, camera, board)
    return found


def _require_not_mirrored(log: PoseLog, camera: str, board: Board) -> None:
    """Raise UserError where pictures show the board once they are flipped: markers that are
    mirrored are none."""
    for pose in log.poses:
        if camera in pose.pictures:
            flipped = np.ascontiguousarray(log.picture(pose, camera)[:, ::-1])
            if board.corners_in(flipped) is not None:
                raise UserError(
                    f"the board is mirrored in {pose.pictures[camera]}: do not flip pictures, and "
                    "print it as `vdd calibrate board` makes it"
                )


def require_camera(contract: Contract, camera: str) -> None:
    """Raise UserError where a contract has no camera of that name."""
    if camera not in contract.cameras:
        raise UserError(
            f"contract {contract.name} has no camera {camera!r}, only "
            f"{', '.join(contract.cameras) or 'none'}: name one of them"
        )


def picture_size(log: PoseLog, camera: str) -> tuple[int, int]:
    """Width and height of the first picture of a camera [pixels]."""
    first = next(pose for pose in log.poses if camera in pose.pictures)
    height, width = log.picture(first, camera).shape
    return width, height
