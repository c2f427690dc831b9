"""Write what was found of a leader's joints (section `leader`) as its device file.

Name the device file that was in use while the poses were taken. The new one extends it, with the
signs and offsets that make the leader's joints the arm's; nothing is overwritten.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration, newest_file
from vdd_ros.teleop.calibrated_leader import corrections_of
from vdd_ros.teleop.device import LeaderDevice, read_device


@dataclass(frozen=True)
class Args:
    device: Positional[Path]
    """The leader's device file, such as config/teleop/leader_panda.yaml."""
    calibration: Path
    """Folder of the robot's calibration files, or one of them."""
    out: Path
    """The device file to write, which is not there yet."""


def main(args: Args) -> dict:
    """Print a line for each joint and write the file."""
    device = read_device(args.device)
    if not isinstance(device, LeaderDevice):
        raise UserError(f"{args.device} is for source {device.source}: name that of a leader")
    path = newest_file(args.calibration)
    section = RobotCalibration.read(path).leader
    if section is None:
        raise UserError(
            f"{path} says nothing of a leader: run `vdd calibrate joints --against leader` first"
        )
    if not args.out.parent.is_dir():
        raise UserError(f"{args.out.parent} is no folder: make it, or name another file")
    if args.out.exists():
        raise UserError(f"{args.out} is there already: name a new file")
    joints = corrections_of(device, section, str(args.device))
    raw = {
        "extends": os.path.relpath(args.device, args.out.parent),
        "calibrated": section.made,
        "joints": joints,
    }
    replace_text(args.out, f"# By {path.name}\n{yaml.safe_dump(raw, sort_keys=False)}")
    read_device(args.out)  # whoever is led by it reads the same
    Console().print(_table(joints, device), highlight=False)
    print(f"wrote {args.out}: name it by device:= from now on")
    return {"ok": True, "file": args.out, "joints": joints}


def _table(joints: dict[str, dict], device: LeaderDevice) -> Table:
    heads = ("sign", "offset before", "offset now")
    columns = (Column(head, justify="right", no_wrap=True) for head in heads)
    table = Table(Column("joint", overflow="fold"), *columns)
    for name, now in joints.items():
        before = device.joints[name]
        if "means" in now:
            table.add_row(name, "", f"{before.means}", f"{tuple(now['means'])}")
        else:
            table.add_row(name, f"{now['sign']:+d}", f"{before.offset:.5f}", f"{now['offset']:.5f}")
    return table
