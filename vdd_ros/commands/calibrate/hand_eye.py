"""Where a camera is, on the arm or beside it, from recorded pictures of a board.

Its place, the board's and, where wished, offsets of joints are refined together over all corners of
all pictures. What is said of the result: how far corners are from where they should be, what each
view says that the others do not, and the standard deviation of the camera's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.calibration.encoder_offsets import encoders_with
from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.hand_eye_estimate import HandEyeEstimate
from vdd_ros.calibration.known_lens import lens_of, prior_of
from vdd_ros.calibration.lens_prior import LensPrior
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import (
    board_views,
    chain_of,
    hand_eye_section,
    joints_by_name,
)
from vdd_ros.calibration.seen_board import require_camera, seen_by
from vdd_ros.calibration_parts import HandEye, Section, Source
from vdd_ros.commands.calibrate.made import keep, known_of, now
from vdd_ros.errors import UserError
from vdd_ros.teleop.cartesian import read_model

UNUSUAL_JOINT_NOISE = 1e-3  # [rad, m]
STATED_STD = 0.005  # of the picture's edge: what lenses differ by from factory files, and drift
MOST_STATED_STD = 0.05


@dataclass(frozen=True)
class Args:
    poses: Positional[Path]
    """Folder of recorded poses with pictures."""
    into: Path
    """Folder of this robot's calibration files; it is made where it is missing."""
    camera: str
    """One of the contract's cameras."""
    mounting: Literal["eye_in_hand", "eye_to_hand"]
    """Whether the camera is on the arm, or beside it and the board on the arm."""
    camera_info: Path | None = None
    """Its intrinsics by its driver's file, which says of no deviation; by default those of the
    calibration files, as well as they are known."""
    camera_info_std: float = STATED_STD
    """By how much what is seen at the edge of the picture may be off by that file, as a share of
    its distance from the middle (one standard deviation, for each number of the lens); 0 takes it
    as exact."""
    kinematics: Path | None = None
    """Model of the arm, where the contract has none, such as config/kinematics/panda_tools.yaml."""
    joint_offsets: tuple[str, ...] = ()
    """Joints whose encoders' offsets are estimated along with it; not the first nor the last. They
    are written as the section `encoders`, too."""


def main(args: Args) -> dict:
    """Print what each view says and write the file."""
    if not 0.0 <= args.camera_info_std <= MOST_STATED_STD:
        raise UserError(
            f"--camera-info-std is {args.camera_info_std:g}: write 0 to {MOST_STATED_STD:g}, such "
            f"as {STATED_STD:g}"
        )
    log = PoseLog.read(args.poses)
    require_camera(log.contract, args.camera)
    known = known_of(args.into, log.contract)
    lens = lens_of(known, args.camera, args.camera_info)
    model = None if args.kinematics is None else read_model(args.kinematics)
    chain = chain_of(log.contract, model)
    seen = seen_by(log, args.camera)
    views = board_views(log, seen, args.mounting, lens, chain)
    prior: LensPrior | None = None
    if args.camera_info is None:
        prior = prior_of(known, args.camera, log)
    elif args.camera_info_std > 0.0:
        prior = LensPrior.of_stated(lens, args.camera_info_std)
    found = hand_eye_of(views, joints_by_name(chain, args.joint_offsets), prior)
    moment = now()
    source = Source(
        method="reprojection of all corners, robust, from OpenCV's solvers",
        data=(str(args.poses),),
        count=int(found.used.sum()),
        left_out=len(log.poses) - int(found.used.sum()),
        log_sha256=log.sha256,
    )
    assert log.header.board is not None
    label = log.header.board.label
    section = hand_eye_section(found, log.contract, args.camera, label, moment.isoformat(), source)
    Console().print(_table(found, seen.places), highlight=False)
    _tell(found, section)
    _tell_of_lens(found, prior, "its intrinsics" if args.camera_info is None else "its file")
    sections: dict[str, Section | Mapping[str, Section]] = {"hand_eye": {args.camera: section}}
    if args.joint_offsets:
        made = moment.isoformat()
        sections["encoders"] = encoders_with(known.encoders, found, log.contract, made, source)
    path = keep(args.into, log.contract, moment, **sections)
    std_m, std_rad = found.camera_std
    return {
        "ok": True,
        "file": path,
        "std_m": std_m,
        "std_rad": std_rad,
        "advice": list(found.spread.advice),
        **section.model_dump(mode="json"),
    }


def _table(found: HandEyeEstimate, places: list[int]) -> Table:
    """A line for each view: what it errs, what others say of it, and what it brings."""
    heads = ("rms px", "left out px", "apart mm", "apart deg", "moves it mm", "share", "")
    columns = (Column(head, justify="right", no_wrap=True) for head in heads)
    table = Table(Column("pose", justify="right"), *columns)
    for index, place in enumerate(places):
        counts = bool(found.used[index])
        apart = found.apart[index]
        table.add_row(
            str(place),
            f"{found.per_view[index]:.2f}",
            f"{found.held_out[index]:.2f}" if counts else "",
            f"{1e3 * np.linalg.norm(apart[:3]):.2f}",
            f"{np.degrees(np.linalg.norm(apart[3:])):.3f}",
            f"{1e3 * np.linalg.norm(found.shifts[index, :3]):.2f}" if counts else "",
            f"{found.shares[index]:.1%}" if counts else "",
            "" if counts else "left out",
        )
    return table


def _tell_of_lens(found: HandEyeEstimate, prior: LensPrior | None, stated: str) -> None:
    """What of the stated deviation is the lens's."""
    if prior is None:
        print("the lens was taken as exact: what its intrinsics are off by is not in that")
        return
    focal, std_px = found.views.lens.focal, float(found.lens_std[:2].mean())
    source = f"{stated} and these views" if prior.from_others else "these views only"
    alone = 1e3 * float(np.sqrt(np.diag(found.given_lens)[:3].sum()))
    print(
        f"the lens was estimated along with it, from {source}: focal length {focal:.2f} px (stated "
        f"{prior.lens.focal:.2f}), one standard deviation {std_px:.2f} px; were it exact, the "
        f"place would be known to {alone:.2f} mm"
    )


def _tell(found: HandEyeEstimate, section: HandEye) -> None:
    camera, (std_m, std_rad) = section.camera, found.camera_std
    x, y, z = camera.translation_m
    print(
        f"{camera.child_frame} in {camera.parent_frame}: {x:.4f} {y:.4f} {z:.4f} m, quaternion "
        f"x y z w {' '.join(f'{one:.5f}' for one in camera.quat_xyzw)}; one standard deviation "
        f"{1e3 * std_m:.2f} mm, {np.degrees(std_rad):.3f} degrees"
    )
    print(
        f"corners: {found.sightings.noise:.2f} px noise, {section.reprojection.rms:.2f} px rms, "
        f"{section.reprojection.cross_validated:.2f} px of views that are left out; arm: "
        f"{1e3 * found.joint_noise:.2f} mrad a joint"
    )
    for what, (factor, std) in section.factors.items():
        print(f"{what.replace('_', ' ')}: {factor:.4f} of what is stated, std {std:.4f}")
    for name, offset in section.joints.items():
        print(f"{name}: {1e3 * offset:.2f} mrad, std {1e3 * section.joints_std[name]:.2f}")
    if found.joint_noise > UNUSUAL_JOINT_NOISE and not section.joints:
        print(
            "that is much for encoders: the arm's joints may be off, estimate their offsets along "
            "with the camera (--joint-offsets)"
        )
    for advice in found.spread.advice:
        print(f"to know it better: {advice}")
