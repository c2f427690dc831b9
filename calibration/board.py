"""Board: what is looked at, a ChArUco board or a grid of AprilTags, and its corners in a picture.

The board's frame is OpenCV's: origin at its first corner, x along its rows, y along its columns as
they are printed, and z into the board, away from who looks at it.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from vdd_ros.errors import UserError
from vdd_ros.fields import Part, Positive, spelled

Count = Annotated[int, Field(ge=1, le=100)]
LARGEST_M = 1.0  # of a square; more is a number in millimetres
FEWEST_CORNERS = 6
WINDOW, WINDOWS_PX = 0.15, (2, 10)  # half of a corner's window, of the distance between corners
FLATTEST = 0.05  # spread of corners across over along, below which they lie on a line
APRIL_TAGS = {"16h5": 30, "25h9": 35, "36h10": 2320, "36h11": 587}  # how many there are
Dictionary = Annotated[
    str,
    spelled(
        r"DICT_([4567])X\1_(50|100|250|1000)|DICT_APRILTAG_(16h5|25h9|36h10|36h11)",
        "a dictionary is one of OpenCV's of squares or AprilTags, such as DICT_5X5_100 or "
        "DICT_APRILTAG_36h11",
    ),
]


class Corners(NamedTuple):
    """What one picture shows of a board: ids (N,), points (N, 3) in the board's frame [m], pixels
    (N, 2)."""

    ids: np.ndarray
    points: np.ndarray
    pixels: np.ndarray


class Board(Part):
    """kind: charuco (corners between squares) or april_grid (four corners of each tag).

    columns, rows: squares of a ChArUco board, tags of a grid; square_m: side of a square, or of a
    tag; marker_m: side of the marker within a square; gap_m: between tags; dictionary: as OpenCV
    names it; legacy: of ChArUco boards with an even number of rows as OpenCV drew them before 4.6.
    """

    kind: Literal["charuco", "april_grid"] = "charuco"
    columns: Count
    rows: Count
    square_m: Positive
    marker_m: Positive | None = None
    gap_m: Positive | None = None
    dictionary: Dictionary = "DICT_5X5_100"
    legacy: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Board:
        if self.square_m > LARGEST_M:
            raise ValueError(f"square_m is {self.square_m:g}: write metres, not millimetres")
        needed, other = ("marker_m", "gap_m") if self.kind == "charuco" else ("gap_m", "marker_m")
        if getattr(self, needed) is None or getattr(self, other) is not None:
            raise ValueError(f"a board of kind {self.kind} has {needed} and no {other}")
        if self.marker_m is not None and self.marker_m >= self.square_m:
            raise ValueError(f"marker_m {self.marker_m:g} is not below square_m {self.square_m:g}")
        if self.kind == "charuco" and min(self.columns, self.rows) < 3:
            raise ValueError("a ChArUco board has 3 columns and rows at least")
        of_family = self.dictionary.rpartition("_")[2]
        has = APRIL_TAGS.get(of_family) or int(of_family)
        needs = self.columns * self.rows // (2 if self.kind == "charuco" else 1)
        if needs > has:
            raise ValueError(
                f"the board has {needs} markers, {self.dictionary} has {has}: take a larger one"
            )
        return self

    @property
    def label(self) -> str:
        """In a few words, for files and tables."""
        what = "ChArUco" if self.kind == "charuco" else "AprilTag grid"
        side = f"{1e3 * self.square_m:g} mm"
        return f"{what} {self.columns} x {self.rows}, {side}, {self.dictionary}"

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of what is printed, without a margin [m]."""
        if self.kind == "charuco":
            return self.columns * self.square_m, self.rows * self.square_m
        step = self.square_m + (self.gap_m or 0.0)
        return self.columns * step - (self.gap_m or 0.0), self.rows * step - (self.gap_m or 0.0)

    @property
    def points(self) -> np.ndarray:
        """(N, 3) all corners [m], the place of each being its id."""
        if self.kind == "charuco":
            x, y = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
            flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
            return flat * self.square_m
        step = self.square_m + (self.gap_m or 0.0)
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        first = step * np.stack([x.ravel(), y.ravel()], axis=1)[:, None]
        around = self.square_m * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        flat = (first + around).reshape(-1, 2)
        return np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)

    def corners_in(self, picture: np.ndarray) -> Corners | None:
        """What a picture (H, W) or (H, W, 3), uint8, shows of the board; None where that is too
        little to place it."""
        found = self._charuco(picture) if self.kind == "charuco" else self._tags(picture)
        return found if found is not None and spans_a_plane(found.points) else None

    def picture(self, pixels_per_m: float, margin_m: float = 0.0) -> np.ndarray:
        """(H, W) uint8: the board as it is to be printed, with a white margin."""
        margin = round(margin_m * pixels_per_m)
        size = tuple(round(side * pixels_per_m) + 2 * margin for side in self.size_m)
        return self._opencv().generateImage(size, marginSize=margin, borderBits=1)

    def _opencv(self):
        cv2 = opencv()
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        size = (self.columns, self.rows)
        if self.kind == "april_grid":
            return cv2.aruco.GridBoard(size, self.square_m, self.gap_m, dictionary)
        board = cv2.aruco.CharucoBoard(size, self.square_m, self.marker_m, dictionary)
        board.setLegacyPattern(self.legacy)
        return board

    def _charuco(self, picture: np.ndarray) -> Corners | None:
        detector = opencv().aruco.CharucoDetector(self._opencv())
        pixels, ids, _, _ = detector.detectBoard(picture)
        if ids is None or len(ids) < FEWEST_CORNERS:
            return None
        ids = ids.ravel()
        return Corners(ids, self.points[ids], _refined(picture, pixels.reshape(-1, 2)))

    def _tags(self, picture: np.ndarray) -> Corners | None:
        cv2 = opencv()
        board, settings = self._opencv(), cv2.aruco.DetectorParameters()
        settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        detector = cv2.aruco.ArucoDetector(board.getDictionary(), settings)
        pixels, tags, _ = detector.detectMarkers(picture)
        known = self.columns * self.rows
        kept = [] if tags is None else [at for at, tag in enumerate(tags.ravel()) if tag < known]
        if len(kept) < 2:
            return None
        ids = np.concatenate([4 * int(tags.ravel()[at]) + np.arange(4) for at in kept])
        flat = np.concatenate([pixels[at].reshape(4, 2) for at in kept]).astype(np.float64)
        return Corners(ids, self.points[ids], flat)


def _refined(picture: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N, 2) corners between squares, to a hundredth of a pixel.

    OpenCV's detector, that of 4.11 for one, gives them half a pixel too far right and down (opencv/
    opencv#25539), pixels being counted by their middles; refined once more they are right in any.
    """
    cv2 = opencv()
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    apart = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1)
    nearest = np.sort(apart, axis=1)[:, 1]
    half = int(np.clip(WINDOW * np.median(nearest), *WINDOWS_PX))  # no further than the markers
    found = pixels.astype(np.float32).reshape(-1, 1, 2).copy()
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    cv2.cornerSubPix(grey, found, (half, half), (-1, -1), stop)
    return found.reshape(-1, 2).astype(np.float64)


def spans_a_plane(points: np.ndarray) -> bool:
    """Whether corners (N, 3) are enough to place a board: not all on a line, nor all but one."""
    if len(points) < FEWEST_CORNERS:
        return False
    rest = np.stack([np.delete(points, at, axis=0) for at in range(len(points))])
    along, across = np.linalg.svd(rest - rest.mean(1, keepdims=True), compute_uv=False).T[:2]
    return bool((across > FLATTEST * along).all())


def opencv():
    """OpenCV; raises UserError where it is not installed."""
    try:
        import cv2
    except ImportError:
        raise UserError(
            "calibrating cameras needs OpenCV: pip install 'vdd_ros[calibration]'"
        ) from None
    return cv2
