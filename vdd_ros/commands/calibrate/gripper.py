"""Calibrate a gripper: travel, direction, width per command, and the command that closes it without
force.

From any recording in which it stood at several commands with nothing between its fingers; `ros2
launch vdd_ros calibrate.launch.py kind:=gripper contract:=FILE` makes one. How wide it is takes
somebody with a calliper: `--widths 0:0 1:.0795` (command:metres).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from vdd_ros.calibration.gripper import Calibrated, gripper_from
from vdd_ros.calibration.gripper_width import require_same_way, width_of
from vdd_ros.commands.calibrate.made import keep, now
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    data: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER")]
    """Folders of episodes, or episodes."""
    contract: Path | None = None
    """The robot's contract; that of the episodes if not given."""
    joint: str | None = None
    """The gripper's channel; the contract's only one of unit fraction if not given."""
    larger_is_closed: bool = False
    """The measured channel is larger when the gripper is closed."""
    widths: tuple[str, ...] = ()
    """What somebody measured: command:metres, two or more."""
    into: Path | None = None
    """Folder of the robot's calibration files, to which a new one is added."""


def main(args: Args) -> dict:
    """Print what was found; raises UserError for recordings that do not tell."""
    width = width_of([_pair(text) for text in args.widths]) if args.widths else None
    contract, found = gripper_from(args.data, args.contract, args.joint, not args.larger_is_closed)
    if width is not None:
        require_same_way(found, width[1])
    told = told_of(found, width)
    Console().print(_table(found, told), highlight=False)
    path = None
    if args.into:
        moment = now()
        section = found.section(moment, list(map(str, args.data)), width and width[:2])
        path = keep(args.into, contract, moment, grippers={found.joint.name: section})
    return {"ok": True, "row": told, "file": path}


def told_of(found: Calibrated, width: tuple[float, float, float] | None) -> dict:
    """As plain JSON types."""
    return {
        "name": found.joint.name,
        "unit": found.joint.unit,
        "closed": found.closed,
        "open": found.open,
        "opens": found.opens,
        "gain": found.gain,
        "force_free": found.force_free,
        "force_free_std": found.std,
        "fully_open": found.fully_open,
        "backlash": found.backlash,
        "stands": found.used,
        "width_at_zero_m": width and width[0],
        "width_per_command_m": width and width[1],
        "width_off_by_m": width and width[2],
    }


def _pair(text: str) -> tuple[float, float]:
    command, _, width = text.partition(":")
    try:
        return float(command), float(width)
    except ValueError:
        raise UserError(f"--widths has {text!r}: write command:metres, such as 1:.0795") from None


def _table(found: Calibrated, told: dict) -> Table:
    unit, table = found.joint.unit, Table("", found.joint.name, title=f"{found.used} stands")
    table.add_row("measured closed, open", f"{found.closed:.4f}, {found.open:.4f} {unit}")
    table.add_row("opens with", "larger commands" if found.opens > 0 else "smaller commands")
    table.add_row("measured per command", f"{found.gain:.4f}")
    table.add_row("closes without force at", f"{found.force_free:.4f} ± {2 * found.std:.4f} {unit}")
    table.add_row("fully open at", f"{found.fully_open:.4f} {unit}")
    table.add_row("backlash", f"{found.backlash:+.4f} {unit}")
    if told["width_at_zero_m"] is not None:
        width = f"{told['width_at_zero_m']:.4f} + {told['width_per_command_m']:.4f} command"
        table.add_row("width [m]", f"{width} (off by {told['width_off_by_m']:.4f} at most)")
    return table
