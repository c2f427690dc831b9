"""RobotCalibration: all that is calibrated of one robot, in one file; older files are kept.

A folder holds the files of one robot, `<robot>.<UTC time>.yaml`. Each is whole: a calibration of
one section takes the others from the newest file, so that the newest says all that is known, and
each section when and from what. Nothing is ever overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import yaml

from vdd_ros.calibration_parts import (
    Gripper,
    HandEye,
    Intrinsics,
    JointOffsets,
    Latency,
    RestOffsets,
)
from vdd_ros.contract_parts import Encoder
from vdd_ros.durable import make_folder, sync_folder, write_text
from vdd_ros.errors import UserError
from vdd_ros.fields import Name, Part
from vdd_ros.yaml_file import checked, read_map

WHAT = "calibration file"
STAMP = "%Y%m%dT%H%M%SZ"
FILE = re.compile(r"^(?P<robot>[a-z][a-z0-9_]*)\.(?P<stamp>\d{8}T\d{6}Z)\.yaml$")
MOST_AT_ONCE = 60  # files within a minute; more is a loop that went wrong


class RobotCalibration(Part):
    """One robot. made: the day it was written; contract_hash: of the contract that was in use;
    sha256: of all the rest, so that an edit by hand is seen.

    encoders: of the arm's joints against its kinematic model; leader: of the leader's joints
    against the follower's; hand_eye and intrinsics by camera, grippers by joint, latency by
    joint and camera, rest by stream of commands.
    """

    format_version: Literal[1] = 1
    made: str = ""
    robot: Name
    contract_hash: str
    encoders: JointOffsets | None = None
    leader: JointOffsets | None = None
    hand_eye: dict[str, HandEye] = {}
    intrinsics: dict[str, Intrinsics] = {}
    grippers: dict[str, Gripper] = {}
    latency: dict[str, Latency] = {}
    rest: dict[str, RestOffsets] = {}
    sha256: str | None = None

    @classmethod
    def read(cls, path: str | Path) -> RobotCalibration:
        """A file, or the newest one of a folder; raises UserError where there is none, where it is
        not one of these, or where it was changed since it was made."""
        path = newest_file(path)
        return cls.parsed(read_map(path, WHAT), path)

    @classmethod
    def parsed(cls, raw: dict, path: Path) -> RobotCalibration:
        """What was read from a file; raises UserError as `read` does."""
        if isinstance(raw.get("made"), date):  # YAML has a type of its own for days
            raw = raw | {"made": raw["made"].isoformat()}
        found = checked(cls, raw, str(path))
        if found.sha256 is not None and found.sha256 != found.checksum():
            raise UserError(
                f"{path} was changed since it was made (its sha256 differs): restore it, or remove "
                "the line sha256 where the change is meant"
            )
        return found

    def require_robot(self, robot: str, where: str | Path) -> None:
        """Raise UserError where it is of another robot."""
        if self.robot != robot:
            raise UserError(
                f"{where} is the calibration of {self.robot}, not of {robot}: name that robot's, "
                f"or write `robot: {self.robot}` in the contract where it is the same robot"
            )

    @property
    def stale_cameras(self) -> list[str]:
        """Whose place was estimated with other encoder offsets than `encoders` has now: the arm
        was not where its joints now say that it was. Of one that does not say with which, the
        older one counts as such."""
        return [name for name, one in self.hand_eye.items() if self._is_stale(one)]

    @property
    def stale_told(self) -> list[str]:
        """A sentence for each of them."""
        return [
            f"where {name} is was estimated with other encoder offsets than the newest: calibrate "
            "hand-eye anew"
            for name in self.stale_cameras
        ]

    def _is_stale(self, one: HandEye) -> bool:
        now = {} if self.encoders is None else self.encoders.corrections
        if one.encoders is None:
            made = None if self.encoders is None else datetime.fromisoformat(self.encoders.made)
            return made is not None and datetime.fromisoformat(one.made) < made
        return any(
            Encoder(sign=sign, offset=offset) != now.get(name, Encoder())
            for name, (sign, offset) in one.encoders.items()
        )

    def checksum(self) -> str:
        """sha256 over all but itself."""
        raw = self.model_dump(mode="json", exclude={"sha256"}, exclude_none=True)
        text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def write(self, folder: str | Path, now: datetime) -> Path:
        """A new file in the robot's folder, which is made where it is missing; what is there stays.

        now: with its zone. Raises UserError where the folder holds files of another robot.
        """
        folder = Path(folder)
        for name in _names(folder):
            if _match(name)["robot"] != self.robot:
                raise UserError(
                    f"{folder / name} is of another robot than {self.robot}: name a folder of its "
                    "own for each robot"
                )
        now = now.astimezone(timezone.utc)
        dated = self.model_copy(update={"made": now.date().isoformat()})
        whole = dated.model_copy(update={"sha256": dated.checksum()})
        # the checksum comes first: a file whose end is missing has it still
        raw = {"sha256": whole.sha256} | whole.model_dump(mode="json", exclude_none=True)
        text = f"# Calibration of {self.robot}. SI, radians, pixels; T_a_b is the pose of b in a.\n"
        text += yaml.safe_dump(raw, sort_keys=False, default_flow_style=None, width=100)
        make_folder(folder)
        part = folder / f".{self.robot}.{os.getpid()}"
        try:
            write_text(part, text)
            return _kept(part, folder, self.robot, now)
        finally:
            part.unlink(missing_ok=True)


def newest_file(path: str | Path) -> Path:
    """A file itself; of a folder the file that was made last; raises UserError without one."""
    path = Path(path)
    if not path.is_dir():
        return path
    names = _names(path)
    if not names:
        raise UserError(
            f"no calibration in {path}: name a folder that `vdd calibrate` wrote to, or a file"
        )
    if len(robots := {_match(name)["robot"] for name in names}) > 1:
        raise UserError(f"{path} has calibrations of {', '.join(sorted(robots))}: name a file")
    return path / max(names, key=lambda name: _match(name)["stamp"])


def is_empty(path: str | Path) -> bool:
    """Whether it is a folder in which nothing was calibrated so far, whatever else is in it."""
    return Path(path).is_dir() and not _names(Path(path))


def named_calibration(
    raw: dict, key: str, folder: Path
) -> tuple[Path, RobotCalibration | None] | None:
    """Of a contract as read from a file in `folder`, the calibration file, or the folder of such
    files, that it names under a key, and what is in it: nothing in a folder without a calibration
    so far, so that a robot can be calibrated. None where it names none, or has no list of joints,
    of which its schema tells; raises UserError for what is no calibration, or that of another
    robot."""
    named = raw.get(key)
    if not isinstance(named, str) or not isinstance(raw.get("joints"), list):
        return None
    path = folder / named
    if is_empty(path):
        return path, None
    known = RobotCalibration.read(path)
    known.require_robot(str(raw.get("robot") or raw.get("name")), path)
    return path, known


def latest_of(folder: str | Path, robot: str, contract_hash: str) -> RobotCalibration:
    """What is known of a robot so far, to which a section is to be added by `model_copy`; nothing
    where the folder has no files, or does not exist."""
    folder = Path(folder)
    if not _names(folder):
        return RobotCalibration(robot=robot, contract_hash=contract_hash)
    found = RobotCalibration.read(folder)
    found.require_robot(robot, newest_file(folder))
    return found.model_copy(update={"contract_hash": contract_hash})


def _kept(part: Path, folder: Path, robot: str, now: datetime) -> Path:
    """Give a finished file its name; the next free second where two were made in one."""
    for second in range(MOST_AT_ONCE):
        stamp = (now + timedelta(seconds=second)).strftime(STAMP)
        target = folder / f"{robot}.{stamp}.yaml"
        try:
            os.link(part, target)  # unlike a rename it fails where there is one
        except FileExistsError:
            continue
        sync_folder(folder)
        return target
    raise UserError(f"{folder} has {MOST_AT_ONCE} calibrations of this minute: wait for a moment")


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if FILE.match(path.name)]


def _match(name: str) -> re.Match[str]:
    found = FILE.match(name)
    assert found is not None
    return found
