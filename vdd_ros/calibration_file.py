"""Which calibration an episode was recorded with: checksum and date of a file; and what it says of
how late things are, for the contract."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from pathlib import Path

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.latencies import latencies_in
from vdd_ros.manifest import FILE_NAME, Calibration
from vdd_ros.recording_limits import RecordingLimits
from vdd_ros.robot_calibration import WHAT, RobotCalibration, is_empty, newest_file
from vdd_ros.yaml_file import read_extended, read_map


def read_calibration(path: str | Path) -> Calibration:
    """A YAML file with `format_version`, `made` (an ISO date) and what else its maker wrote, or the
    newest of a folder that `vdd calibrate` writes to; raises UserError where it has none of them.
    """
    path = newest_file(path)
    raw = read_map(path, WHAT)
    version, made = raw.get("format_version"), raw.get("made")
    if not isinstance(version, int) or isinstance(version, bool):
        raise UserError(
            f"{path}: format_version is {version!r}; write `format_version: 1` at its beginning"
        )
    try:
        day = made if isinstance(made, date) else datetime.fromisoformat(str(made))
    except ValueError:
        raise UserError(
            f"{path}: made is {made!r}; write the day it was made, such as `made: 2026-05-31`"
        ) from None
    if isinstance(day, datetime):
        day = day.date()
    content = Path(path).read_bytes()
    return Calibration(sha256=hashlib.sha256(content).hexdigest(), made=day.isoformat())


def named_in(contract: str | Path) -> str:
    """Path of the calibration that a contract's file names, under `encoders` or `latency`; "" where
    it names none, or nothing was calibrated so far. Raises UserError."""
    raw = read_extended(contract, "contract")
    for key in ("encoders", "latency"):
        if isinstance(raw, dict) and isinstance(named := raw.get(key), str):
            path = Path(contract).parent / named
            return "" if is_empty(path) else str(path)
    return ""


def calibrated(contract: Contract, path: str | Path) -> Contract:
    """The contract with the latencies of a calibration file, or of the newest of a folder; itself
    where the path is empty, or the file says nothing of them. Raises UserError, of another robot's
    too where the file says whose it is."""
    known = _known_in(path)
    if known is None:
        return contract
    known.require_robot(contract.robot_name, path)
    found = latencies_in(known, path, contract.joint_names, contract.sources)
    if found is None:
        return contract
    raw = contract.to_dict() | {"latency": found}
    return Contract.from_dict(raw, f"{path}, for contract {contract.name}")


def encoders_apart(contract: Contract, path: str | Path) -> str | None:
    """What is to be said where a calibration has other encoder offsets than the contract, which is
    where they are taken from: the arm goes, and is read, without them. None where all is well."""
    known = _known_in(path)
    section = None if known is None else known.encoders
    if section is None:
        return None
    taken, found = contract.encoders, section.corrections
    apart = [name for name in found if found[name] != taken.get(name)]
    if not apart:
        return None
    does = "has other ones" if taken else "takes none"
    return (
        f"{path} has encoder offsets of {', '.join(apart)}, but contract {contract.name} {does}: "
        f"neither joint states nor commands are corrected by them; write `encoders: {path}` in the "
        "contract"
    )


def _known_in(path: str | Path) -> RobotCalibration | None:
    """None where the path is empty, or it is a file of another maker that says its day only."""
    if not str(path):
        return None
    path = newest_file(path)
    raw = read_map(path, WHAT)
    return RobotCalibration.parsed(raw, path) if "contract_hash" in raw else None


def calibration_warnings(
    calibration: Calibration | None, folder: Path, started: str, limits: RecordingLimits
) -> list[str]:
    """What is odd about the calibration of a recording that began at `started` (ISO 8601): its age,
    and that the last episode in the folder has another one."""
    found = []
    if calibration is not None:
        began = datetime.fromisoformat(started).date()
        days = (began - date.fromisoformat(calibration.made)).days
        if days < 0:
            found.append(f"the calibration is of {calibration.made}, after the recording")
        elif limits.calibration_days is not None and days > limits.calibration_days:
            found.append(
                f"the calibration is {days} days old (at most {limits.calibration_days:g}): "
                f"calibrate anew"
            )
    last = _last_episode(folder)
    if last is not None:
        name, other = last
        own = calibration.sha256 if calibration else None
        if other != own:
            found.append(
                f"the calibration is {_told(own)}, and that of {name} {_told(other)}: is it meant?"
            )
    return found


def _last_episode(folder: Path) -> tuple[str, str | None] | None:
    """Name of the episode that was saved last, and the checksum of its calibration; None where
    there is no episode. What it does not tell is found by who reads it."""
    saved = list(folder.glob(f"[!.]*/{FILE_NAME}"))
    if not saved:
        return None
    last = max(saved, key=lambda path: path.stat().st_mtime_ns)
    try:
        raw = json.loads(last.read_text(encoding="utf-8"))
        calibration = raw.get("calibration") or {}
        return last.parent.name, calibration.get("sha256")
    except (OSError, ValueError, AttributeError):
        return None


def _told(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]
