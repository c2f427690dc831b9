"""What the tools of `vdd calibrate` have in common: where a section goes, and when it was made."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from vdd_ros.contract import Contract
from vdd_ros.robot_calibration import RobotCalibration, latest_of

UNIT_SHOWN = {"rad": ("mrad", 1e3), "m": ("mm", 1e3), "px": ("px", 1.0)}


def now() -> datetime:
    """With its zone."""
    return datetime.now(timezone.utc)


def made_at(moment: datetime) -> str:
    """As sections say it."""
    return moment.isoformat(timespec="seconds")


def known_of(folder: Path, contract: Contract) -> RobotCalibration:
    """What is known of the contract's robot so far; raises UserError where the folder is of
    another."""
    return latest_of(folder, contract.robot_name, contract.contract_hash)


def keep(known: RobotCalibration, folder: Path, moment: datetime, **sections: object) -> Path:
    """Write what is known with one section more, and say where."""
    path = known.model_copy(update=sections).write(folder, moment)
    print(f"written: {path}")
    return path
