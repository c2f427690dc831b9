"""Tell whether a robot is still as it was when it was calibrated, from any episodes of it.

Compared are where joints stand and where they are told to, at rest, and how late they are; of a
folder of recorded poses with pictures of a board, where cameras are. `--keep` notes how joints
stand in the calibration; without it what was noted is compared. Found is what is
twice `--least`, with one false alarm in a thousand looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional, arg

from vdd_ros.calibration import drift
from vdd_ros.calibration.latency import measure_latencies
from vdd_ros.calibration.leader_drift import RestOffset, rest_offset
from vdd_ros.calibration.pose_log import FILE_NAME as POSES
from vdd_ros.calibration.recordings import contract_of, episodes_of, recording_of
from vdd_ros.commands.calibrate.made import keep, now
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration


@dataclass(frozen=True)
class Args:
    data: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER")]
    """Folders of episodes, or episodes; or one of recorded poses."""
    calibration: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the robot's calibration files, or one of them."""
    contract: Path | None = None
    """The robot's contract; that of the episodes if not given."""
    kinematics: Path | None = None
    """Of recorded poses, the arm's model, where the contract has none."""
    camera_info: Path | None = None
    """Of recorded poses, the camera's intrinsics, where the calibration has none."""
    keep: bool = False
    """Note in the calibration how the robot is now, instead of comparing."""
    least: float = drift.LEAST
    """What matters of an offset [rad, m]."""


def main(args: Args) -> dict:
    """Print a row for each joint; not ok where something moved, or cannot be told to have not."""
    if not args.least > 0.0:
        raise UserError(f"--least is {args.least:g}: write more than 0, such as .001")
    if any((path / POSES).exists() for path in args.data):
        return _told(_of_cameras(args), RobotCalibration.read(args.calibration))
    episodes = list(episodes_of(args.data))
    contract = contract_of(episodes, args.contract)
    found = [rest_offset(episode) for episode in episodes]
    if args.keep:
        return _keep(contract, found, args)
    known = RobotCalibration.read(args.calibration)
    known.require_robot(contract.robot_name, args.calibration)
    if not known.rest:
        raise UserError(
            f"{args.calibration} does not say how the robot stood when it was calibrated: note it "
            "with `--keep`, from episodes of that day"
        )
    changes = drift.offset_changes(known.rest, found, args.least)
    changes += _latencies(contract, episodes, known)
    return {"episodes": len(episodes), **_told(changes, known)}


def _told(changes: Sequence[drift.Change], known: RobotCalibration) -> dict:
    watched = drift.judged(changes)
    Console().print(_table(watched.rows), highlight=False)
    for sentence in (*watched.sentences, *known.stale_told):
        print(sentence)
    return {"ok": watched.verdict == "STEADY", "stale": known.stale_cameras, **watched.to_dict()}


def _of_cameras(args: Args) -> list[drift.Change]:
    if len(args.data) > 1 or args.keep:
        raise UserError(
            "of recorded poses name one folder, and no --keep: `vdd calibrate hand-eye` is how a "
            "camera's place is noted"
        )
    from vdd_ros.calibration.camera_drift import camera_changes
    from vdd_ros.teleop.cartesian import read_model

    model = None if args.kinematics is None else read_model(args.kinematics)
    known = RobotCalibration.read(args.calibration)
    return camera_changes(known, args.data[0], model, args.camera_info)


def _keep(contract: Contract, found: Sequence[RestOffset], args: Args) -> dict:
    moment = now()
    sections = drift.reference(contract, found, moment, list(map(str, args.data)))
    path = keep(args.calibration, contract, moment, rest=sections)
    count = sum(len(section.joints) for section in sections.values())
    print(f"{count} offsets of {len(found)} episodes")
    return {"ok": True, "episodes": len(found), "offsets": count, "file": str(path)}


def _latencies(
    contract: Contract, episodes: Sequence[Episode], known: RobotCalibration
) -> list[drift.Change]:
    """Of joints whose latency is known, as far as these episodes tell it."""
    names = [name for name in known.latency if name in contract.joint_names]
    if not names:
        return []
    measured, _ = measure_latencies(contract, [recording_of(one, ()) for one in episodes], names)
    return drift.latency_changes(known.latency, measured)


def _table(rows: Sequence[dict]) -> Table:
    heads = ("moved", "at most", "")
    numbers = (Column(head, no_wrap=True, justify="right") for head in heads)
    table = Table(Column("", overflow="fold"), Column("of", overflow="fold"), *numbers)
    for row in rows:
        moved, bound = f"{row['moved']:+.5f} {row['unit']}", f"{row['bound']:.5f}"
        table.add_row(row["name"], row["what"], moved, bound, row["verdict"])
    return table
