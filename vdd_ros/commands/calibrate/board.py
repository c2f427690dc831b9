"""Make the picture of a board, to be printed at its true size (100 %, not fitted to the page).

The YAML file beside it is what `board:=` of the launch file takes. Measure a square afterwards, and
correct square_m there: it is where every distance comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from tyro.conf import Positional

from vdd_ros.calibration.board import Board, opencv
from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.yaml_file import checked

MM_PER_INCH = 25.4
LARGEST_PX = 20000  # of a side: 1.7 m at 300 dots per inch
LEAST_MARKER_PX = 20  # of a marker, of which each bit needs two at least


@dataclass(frozen=True)
class Args:
    out: Positional[Path]
    """The PNG file to write; the YAML file has its name."""
    kind: Literal["charuco", "april_grid"] = "charuco"
    """Corners between squares, or AprilTags."""
    columns: int = 7
    """Squares in a row, or tags."""
    rows: int = 5
    """Rows."""
    square_mm: float = 30.0
    """Side of a square, or of a tag."""
    marker_mm: float = 22.0
    """Side of the markers in the squares of a ChArUco board."""
    gap_mm: float = 9.0
    """Between AprilTags."""
    dictionary: str = ""
    """As OpenCV names it; by default DICT_5X5_100, of AprilTags DICT_APRILTAG_36h11."""
    dpi: float = 300.0
    """Dots per inch of the picture."""


def main(args: Args) -> dict:
    """Write the picture, and the file that says which board it is of."""
    is_charuco = args.kind == "charuco"
    raw = {
        "kind": args.kind,
        "columns": args.columns,
        "rows": args.rows,
        "square_m": args.square_mm / 1e3,
        "dictionary": args.dictionary or ("DICT_5X5_100" if is_charuco else "DICT_APRILTAG_36h11"),
        **({"marker_m": args.marker_mm / 1e3} if is_charuco else {"gap_m": args.gap_mm / 1e3}),
    }
    board = checked(Board, raw, "the board")
    if not 30.0 <= args.dpi <= 2400.0:
        raise UserError(f"{args.dpi:g} dots per inch: write 30 to 2400")
    if args.out.suffix.lower() != ".png" or not args.out.parent.is_dir():
        raise UserError(f"{args.out} is no .png in a folder that is there: name another file")
    facts = args.out.with_suffix(".yaml")
    if facts.exists():
        raise UserError(f"{facts} is there already, maybe with what was measured: name another")
    pixels_per_m, margin_m = args.dpi / MM_PER_INCH * 1e3, board.square_m / 2.0
    _require_printable(board, pixels_per_m, margin_m)
    done, packed = opencv().imencode(".png", board.picture(pixels_per_m, margin_m))
    assert done
    args.out.write_bytes(packed.tobytes())
    width, height = (1e3 * side for side in board.size_m)
    told = board.model_dump(exclude_none=True)
    replace_text(facts, yaml.safe_dump(told, sort_keys=False))
    print(f"{args.out}: {board.label}, print it {width:g} x {height:g} mm without the margin")
    print(f"{facts}: correct square_m there by what you measure")
    return {"ok": True, "file": args.out, "facts": facts, "board": told}


def _require_printable(board: Board, pixels_per_m: float, margin_m: float) -> None:
    """Raise UserError where the picture were too large, or its markers too small to be read."""
    longest = (max(board.size_m) + 2.0 * margin_m) * pixels_per_m
    marker = (board.marker_m or board.square_m) * pixels_per_m
    if longest > LARGEST_PX or marker < LEAST_MARKER_PX:
        raise UserError(
            f"the picture were {longest:.0f} pixels long, with markers of {marker:.0f} (at most "
            f"{LARGEST_PX}, at least {LEAST_MARKER_PX}): change --dpi, or the board"
        )
