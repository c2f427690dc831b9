"""Intrinsics of a camera from recorded pictures of a board, as a section and as camera_info YAML.

The YAML file is what ROS camera drivers take as `camera_info_url`. The pictures can be those of
`vdd calibrate hand-eye`, where the board comes near all edges of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.calibration.intrinsics import (
    IntrinsicsEstimate,
    intrinsics_of,
    require_new,
    write_camera_info,
)
from vdd_ros.calibration.lens import NAMES
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.seen_board import picture_size, seen_by
from vdd_ros.calibration_parts import Source
from vdd_ros.commands.calibrate.made import keep, known_of, now


@dataclass(frozen=True)
class Args:
    poses: Positional[Path]
    """Folder of recorded poses with pictures."""
    into: Path
    """Folder of this robot's calibration files; it is made where it is missing."""
    camera: str
    """One of the contract's cameras."""
    wide: bool = False
    """Also estimate the third radial term, of lenses wider than about 90 degrees."""
    camera_info: Path | None = None
    """Also write this file, which is not there yet, for the camera's driver."""


def main(args: Args) -> dict:
    """Print the numbers with their uncertainty and write the files."""
    if args.camera_info is not None:
        require_new(args.camera_info)
    log = PoseLog.read(args.poses)
    known_of(args.into, log.contract)  # before anything is written: it may be of another robot
    seen = seen_by(log, args.camera)
    found = intrinsics_of(seen.corners, *picture_size(log, args.camera), args.wide)
    moment = now()
    source = Source(
        method="pictures of a board, OpenCV's bundle adjustment",
        data=(str(args.poses),),
        count=int(found.used.sum()),
        left_out=len(log.poses) - int(found.used.sum()),
        log_sha256=log.sha256,
    )
    assert log.header.board is not None
    section = found.section(moment.isoformat(), source, log.header.board)
    Console().print(_table(args.camera, found), highlight=False)
    if args.camera_info is not None:
        write_camera_info(args.camera_info, args.camera, found.lens)
        print(f"wrote {args.camera_info}")
    path = keep(args.into, log.contract, moment, intrinsics={args.camera: section})
    return {"ok": True, "file": path, **section.model_dump(mode="json")}


def _table(camera: str, found: IntrinsicsEstimate) -> Table:
    left = np.linalg.norm(found.residuals, axis=1)
    print(
        f"{camera}: {found.used.sum()} views, reprojection rms "
        f"{np.sqrt((left**2).mean()):.3f} px, of views left out {found.held_out:.3f} px"
    )
    table = Table("", Column("value", justify="right"), Column("std", justify="right"))
    matrix = found.lens.matrix
    values = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *found.lens.distortion]
    for name, value, std in zip(NAMES, values, found.std, strict=True):
        table.add_row(name, f"{value:.5g}", f"{std:.2g}")
    return table
