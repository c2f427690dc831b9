"""Signs and offsets of joints from still poses: reference = sign * encoder + offset.

The poses are a folder that the calibration node wrote, with a reference for each joint: what the
model says, or a leader's joints, of which sign and offset then make the follower's. Or they are
episodes, in which arm and leader stand now and then. A pose in which a joint does not fit is left
out for that joint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.calibration.encoder_offsets import merged
from vdd_ros.calibration.episode_poses import poses_of_episodes
from vdd_ros.calibration.joint_offsets import OffsetEstimate, PairedPoses, offsets_of
from vdd_ros.calibration.pose_log import FILE_NAME, Against, PoseLog
from vdd_ros.calibration.recorded import against_of, paired_poses
from vdd_ros.calibration_parts import Source
from vdd_ros.commands.calibrate.made import UNIT_SHOWN, keep, known_of, now
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    poses: Positional[Path]
    """Folder of recorded poses, or of episodes."""
    into: Path
    """Folder of this robot's calibration files; it is made where it is missing."""
    against: Against | None = None
    """What was read beside the arm: its model's joints (section `encoders`), or a leader's (section
    `leader`). By default what the poses say of themselves; of episodes it is the leader."""


def main(args: Args) -> dict:
    """Print a line for each joint and write the file."""
    contract, pairs, against = _pairs(args)
    known = known_of(args.into, contract)
    found = offsets_of(pairs)
    moment = now()
    source = Source(
        method=f"paired still poses, against {against}",
        data=(str(args.poses),),
        count=len(pairs.encoder),
        left_out=int((~found.used.all(1)).sum()),
    )
    name = "leader" if against == "leader" else "encoders"
    section = merged(getattr(known, name), found.section(moment.isoformat(), source))
    Console().print(_table(found), highlight=False)
    path = keep(args.into, contract, moment, **{name: section})
    if name == "leader":
        print("`vdd calibrate device` makes the leader's device file of it")
    return {"ok": True, "file": path, **section.model_dump(mode="json")}


def _pairs(args: Args) -> tuple[Contract, PairedPoses, Against]:
    if (args.poses / FILE_NAME).exists() or not args.poses.is_dir():
        log = PoseLog.read(args.poses)
        against = against_of(log, args.against)
        return log.contract, paired_poses(log, against), against
    if args.against == "model":
        raise UserError(
            f"{args.poses} has no {FILE_NAME}: of episodes joints are compared with who led them, "
            "write --against leader"
        )
    return *poses_of_episodes(EpisodeStore(args.poses)), "leader"


def _table(found: OffsetEstimate) -> Table:
    heads = ("sign", "offset", "std", "rms", "p95", "worst", "left out")
    columns = (Column(head, justify="right", no_wrap=True) for head in heads)
    table = Table(Column("joint", overflow="fold"), *columns)
    for index, joint in enumerate(found.pairs.joints):
        unit, times = UNIT_SHOWN[joint.unit]
        left = np.abs(found.residuals[found.used[:, index], index]) * times
        table.add_row(
            joint.name,
            f"{found.signs[index]:+.0f}",
            f"{found.offsets[index] * times:.2f} {unit}",
            f"{found.std[index] * times:.3f}",
            f"{np.sqrt((left**2).mean()):.3f}",
            f"{np.percentile(left, 95):.3f}",
            f"{left.max():.3f}",
            str(int((~found.used[:, index]).sum())),
        )
    return table
