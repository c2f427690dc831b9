"""Intrinsics of a camera from views of a board, by OpenCV's bundle adjustment, judged.

Views that all face the board say little about the focal length, and corners that never come near an
edge little about distortion: both are asked for before the numbers are believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from vdd_ros.calibration.board import Board, Corners, opencv
from vdd_ros.calibration.lens import NAMES, Lens
from vdd_ros.calibration.summary import inverse_of, residuals_of
from vdd_ros.calibration_parts import Intrinsics, Source
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import read_map

FEWEST_VIEWS = 8
LEAST_TILT_RAD = np.radians(10.0)  # root mean square, of the board against the picture
LEAST_COVER = 0.5  # of the picture's width and height that corners reach over
MOST_STD = 0.02  # of the focal length
VIEW_CUT = 4.0  # times the usual reprojection error
# The third radial term is told apart by wide lenses only; elsewhere it makes others uncertain.
FREE, FREE_WIDE = tuple(range(8)), tuple(range(9))


@dataclass(frozen=True)
class IntrinsicsEstimate:
    """covariance: (9, 9) of fx, fy, cx, cy, k1, k2, p1, p2, k3, whatever the views' poses; used:
    (N,) views that count; residuals: (M, 2) of the corners of those views [pixels]; held_out: root
    mean square reprojection error of views that were left out of the estimate [pixels]."""

    lens: Lens
    covariance: np.ndarray
    used: np.ndarray
    residuals: np.ndarray
    held_out: float

    @property
    def std(self) -> np.ndarray:
        """(9,)"""
        return np.sqrt(np.diag(self.covariance))

    def section(self, made: str, source: Source, board: Board) -> Intrinsics:
        """As the calibration file has it."""
        matrix = self.lens.matrix
        return Intrinsics(
            made=made,
            source=source,
            width=self.lens.width,
            height=self.lens.height,
            fx=matrix[0, 0],
            fy=matrix[1, 1],
            cx=matrix[0, 2],
            cy=matrix[1, 2],
            distortion=tuple(self.lens.distortion.tolist()),
            std=tuple(self.std.tolist()),
            covariance=tuple(tuple(row) for row in self.covariance.tolist()),
            board=board.label,
            reprojection=residuals_of("px", np.linalg.norm(self.residuals, axis=1), self.held_out),
        )


def intrinsics_of(
    views: Sequence[Corners], width: int, height: int, wide: bool = False
) -> IntrinsicsEstimate:
    """width, height [pixels]; wide: also estimate k3. Raises UserError where views are too few or
    too alike, or leave the focal length open."""
    _require_enough(views, width, height)
    lens, used, turns, moves = _solved(views, width, height, wide)
    _require_tilted(views, lens, turns, used)
    kept = [view for view, counts in zip(views, used, strict=True) if counts]
    residuals, covariance = _known_to(kept, lens, turns, moves, FREE_WIDE if wide else FREE)
    std = np.sqrt(np.diag(covariance))
    if max(std[0] / lens.matrix[0, 0], std[1] / lens.matrix[1, 1]) > MOST_STD:
        raise UserError(
            f"the views leave the focal length open by {std[0]:.0f} of {lens.matrix[0, 0]:.0f} "
            "pixels: take views in which the board is tilted, near one edge nearer than the other"
        )
    held_out = _held_out(kept, width, height, wide)
    return IntrinsicsEstimate(lens, covariance, used, residuals, held_out)


def _known_to(
    views: Sequence[Corners],
    lens: Lens,
    turns: Sequence[np.ndarray],
    moves: Sequence[np.ndarray],
    free: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (M, 2) [pixels] and the covariance (9, 9) of the lens, with the views' poses
    unknown; free: numbers that were estimated, the rest is exact."""
    cv2 = opencv()
    residuals, information = [], np.zeros((len(free), len(free)))
    for view, turn, move in zip(views, turns, moves, strict=True):
        there, slopes = cv2.projectPoints(view.points, turn, move, lens.matrix, lens.distortion)
        residuals.append(there.reshape(-1, 2) - view.pixels)
        of_pose, of_lens = slopes[:, :6], slopes[:, 6:][:, list(free)]
        across = of_pose.T @ of_lens
        of_its_own = of_pose.T @ of_pose
        information += of_lens.T @ of_lens - across.T @ np.linalg.solve(of_its_own, across)
    left = np.concatenate(residuals)
    variance = float((left**2).sum()) / max(1, left.size - 6 * len(views) - len(free))
    covariance = np.zeros((len(NAMES), len(NAMES)))
    covariance[np.ix_(free, free)] = variance * inverse_of(information)
    return left, (covariance + covariance.T) / 2.0


def _solved(views: Sequence[Corners], width: int, height: int, wide: bool):
    """Solved once with all views, and once without those that do not fit."""
    used = np.ones(len(views), bool)
    for _ in range(2):
        kept = [view for view, counts in zip(views, used, strict=True) if counts]
        lens, turns, moves, errors = _opencv(kept, width, height, wide)
        bad = errors > VIEW_CUT * np.median(errors)
        if not bad.any():
            break
        used[np.flatnonzero(used)[bad]] = False
        if used.sum() < FEWEST_VIEWS:
            raise UserError(
                f"{bad.sum()} of {len(views)} views do not fit the others: take them anew, with "
                "board and camera standing still"
            )
    else:
        kept = [view for view, counts in zip(views, used, strict=True) if counts]
        lens, turns, moves, _ = _opencv(kept, width, height, wide)
    return lens, used, turns, moves


def _opencv(views: Sequence[Corners], width: int, height: int, wide: bool):
    cv2 = opencv()
    found = cv2.calibrateCameraExtended(
        [view.points.astype(np.float32) for view in views],
        [view.pixels.astype(np.float32) for view in views],
        (width, height),
        None,
        None,
        flags=0 if wide else cv2.CALIB_FIX_K3,
    )
    _, matrix, distortion, turns, moves, _, _, errors = found
    lens = Lens(width, height, matrix, distortion.ravel()[:5])
    return lens, turns, moves, errors.ravel()


def _held_out(views: Sequence[Corners], width: int, height: int, wide: bool) -> float:
    """Of each third of the views by the intrinsics of the others, posed anew [pixels]."""
    cv2 = opencv()
    squared, count = 0.0, 0
    for part in range(3):
        lens = _opencv([v for at, v in enumerate(views) if at % 3 != part], width, height, wide)[0]
        for view in views[part::3]:
            _, turn, move = cv2.solvePnP(view.points, view.pixels, lens.matrix, lens.distortion)
            there = cv2.projectPoints(view.points, turn, move, lens.matrix, lens.distortion)[0]
            squared += float(((there.reshape(-1, 2) - view.pixels) ** 2).sum())
            count += len(view.pixels)
    return float(np.sqrt(squared / count))


def _require_enough(views: Sequence[Corners], width: int, height: int) -> None:
    if len(views) < FEWEST_VIEWS:
        raise UserError(
            f"{len(views)} views of the board are too few for intrinsics, at least {FEWEST_VIEWS} "
            "are needed, and 20 are good: take more, tilted this way and that"
        )
    pixels = np.concatenate([view.pixels for view in views])
    cover = np.ptp(pixels, axis=0) / (width, height)
    for share, what in zip(cover, ("left and right", "top and bottom"), strict=True):
        if share < LEAST_COVER:
            raise UserError(
                f"the board covers {share:.0%} of the picture between {what} over all views, at "
                f"least {LEAST_COVER:.0%} are needed: show it near the edges too"
            )


def _require_tilted(
    views: Sequence[Corners], lens: Lens, turns: Sequence[np.ndarray], used: np.ndarray
) -> None:
    cv2 = opencv()
    normals = np.array([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    apart = normals - normals.mean(0)
    tilt = float(np.sqrt((apart**2).sum(1).mean()))
    if tilt < LEAST_TILT_RAD:
        raise UserError(
            f"the board is tilted by {np.degrees(tilt):.1f} degrees from view to view, at least "
            f"{np.degrees(LEAST_TILT_RAD):.0f} are needed: without it a long lens that is far away "
            "and a short one that is near see the same"
        )


def require_new(camera_info: Path) -> None:
    """Raise UserError where a camera_info file cannot be written, or would take another's place."""
    if not camera_info.parent.is_dir():
        raise UserError(f"{camera_info.parent} is no folder: make it, or name another file")
    if camera_info.exists():
        raise UserError(
            f"{camera_info} is there already, maybe what the driver uses: name a new file"
        )


def write_camera_info(path: str | Path, name: str, lens: Lens) -> None:
    """The YAML file that ROS camera drivers take as `camera_info_url` (camera_calibration_parsers).

    name: of the camera; the picture is not rectified by it (R is the identity, P is K).
    """
    matrix = lens.matrix
    projection = np.hstack([matrix, np.zeros((3, 1))])

    def table(values: np.ndarray) -> dict:
        rows, cols = values.shape
        return {"rows": rows, "cols": cols, "data": [float(one) for one in values.ravel()]}

    raw = {
        "image_width": lens.width,
        "image_height": lens.height,
        "camera_name": name,
        "camera_matrix": table(matrix),
        "distortion_model": "plumb_bob",
        "distortion_coefficients": table(lens.distortion[None]),
        "rectification_matrix": table(np.eye(3)),
        "projection_matrix": table(projection),
    }
    replace_text(Path(path), yaml.safe_dump(raw, sort_keys=False, default_flow_style=None))


def read_camera_info(path: str | Path) -> Lens:
    """A file as `write_camera_info` makes it; raises UserError."""
    raw = read_map(path, "camera info file")
    try:
        if raw["distortion_model"] != "plumb_bob":
            raise UserError(
                f"{path} has distortion_model {raw['distortion_model']!r}; plumb_bob is read: "
                "calibrate the camera with `vdd calibrate intrinsics`"
            )
        matrix = np.array(raw["camera_matrix"]["data"], dtype=np.float64).reshape(3, 3)
        distortion = np.array(raw["distortion_coefficients"]["data"], dtype=np.float64)
        lens = Lens(int(raw["image_width"]), int(raw["image_height"]), matrix, distortion)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no camera info file ({error}): name another") from None
    if distortion.shape != (5,) or not np.isfinite(matrix).all() or matrix[0, 0] <= 0.0:
        raise UserError(f"{path} has no usable camera_matrix and 5 distortion coefficients")
    return lens
