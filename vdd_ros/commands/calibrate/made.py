"""What the tools of `vdd calibrate` have in common: where a section goes, and when it was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from vdd_ros.calibration import recordings
from vdd_ros.calibration_parts import Section
from vdd_ros.contract import Contract
from vdd_ros.robot_calibration import RobotCalibration, latest_of

UNIT_SHOWN = {"rad": ("mrad", 1e3), "m": ("mm", 1e3)}


def now() -> datetime:
    """To the second, with its zone."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def known_of(folder: Path, contract: Contract) -> RobotCalibration:
    """What is known of the contract's robot so far; raises UserError where the folder is of
    another."""
    return latest_of(folder, contract.robot_name, contract.contract_hash)


def keep(
    folder: Path, contract: Contract, moment: datetime, **sections: Section | Mapping[str, Section]
) -> Path:
    """Add sections to what is known of the contract's robot, as `recordings.keep` does, and say
    where."""
    path = recordings.keep(folder, contract, moment, **sections)
    print(f"wrote {path}")
    return path
