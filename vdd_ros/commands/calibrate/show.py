"""Show what is known of a robot, how well, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.calibration_parts import HandEye, Intrinsics, JointOffsets, RestOffsets, Section
from vdd_ros.robot_calibration import RobotCalibration, newest_file


@dataclass(frozen=True)
class Args:
    calibration: Positional[Path]
    """A calibration file, or the folder of a robot's."""


def main(args: Args) -> dict:
    """Print a line for each section."""
    path = newest_file(args.calibration)
    found = RobotCalibration.read(path)
    table = Table("section", "of", "value", "made", "from", title=f"{found.robot}: {path}")
    for section, of, one in sections_of(found):
        source = f"{one.source.count} used, {one.source.left_out} left out"
        is_stale = section == "hand_eye" and of in found.stale_cameras
        value = f"{_value(one)}; STALE" if is_stale else _value(one)
        table.add_row(section, of, value, one.made[:10], source)
    Console().print(table, highlight=False)
    for sentence in found.stale_told:
        print(sentence)
    return {
        "ok": True,
        "file": path,
        "stale": found.stale_cameras,
        **found.model_dump(mode="json", exclude_none=True),
    }


def sections_of(found: RobotCalibration) -> list[tuple[str, str, Section]]:
    """Name, of what, and the section, of all that is there."""
    arms = [("encoders", found.encoders), ("leader", found.leader)]
    rows: list[tuple[str, str, Section]] = [(name, "arm", one) for name, one in arms if one]
    for name in ("hand_eye", "intrinsics", "grippers", "latency", "rest"):
        rows += [(name, of, one) for of, one in getattr(found, name).items()]
    return rows


def _value(one: Section) -> str:
    if isinstance(one, (JointOffsets, RestOffsets)):
        worst = max(one.joints, key=lambda name: one.joints[name].std)
        return f"{len(one.joints)} joints, std at most {one.joints[worst].std:.2g} ({worst})"
    if isinstance(one, HandEye):
        std = np.sqrt(np.diag(np.array(one.camera.covariance)))
        moved, turned = 1e3 * np.linalg.norm(std[:3]), np.degrees(np.linalg.norm(std[3:]))
        where = " ".join(f"{value:.4f}" for value in one.camera.translation_m)
        return f"{one.camera.parent_frame}: {where} m (std {moved:.2f} mm, {turned:.3f} deg)"
    if isinstance(one, Intrinsics):
        return (
            f"{one.width}x{one.height}, f {one.fx:.1f} {one.fy:.1f}, {one.reprojection.rms:.2f} px"
        )
    skipped = {"made", "source", "residuals"}
    raw = one.model_dump(mode="json", exclude=skipped, exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in raw.items())
