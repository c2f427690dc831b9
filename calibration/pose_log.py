"""PoseLog: still poses of an arm as they are taken, with what was seen and read in each.

`<folder>/poses.jsonl` begins with a line of what holds for all (contract, board); then comes a line
for each pose, which is on the disk before the arm moves on. Pictures are files beside it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.calibration.board import Board, opencv
from vdd_ros.contract import Contract
from vdd_ros.durable import make_folder, sync_file, sync_folder
from vdd_ros.errors import UserError
from vdd_ros.fields import Finite, Part
from vdd_ros.yaml_file import checked

FILE_NAME = "poses.jsonl"
LARGEST_BYTES = 64 * 1024 * 1024
Against = Literal["model", "leader"]
PICTURE = r"^[a-z][a-z0-9_]*/[0-9]{6}\.png$"


class Header(Part):
    """What holds for all poses of a log. board: what its pictures show, None without pictures;
    against: whose joints its references are, None where it has none or does not say."""

    format_version: Literal[1] = 1
    contract: Contract
    board: Board | None = None
    against: Against | None = None


class StillPose(Part):
    """One pose in which nothing moved.

    joints: as everything in vdd_ros has them, with the corrections of the log's contract, by its
    names [unit]; reference: what they are compared with, by the same names: a leader's, or what the
    model says; pictures: file by camera, in the log's folder.
    """

    stamp_ns: Annotated[int, Field(ge=0)]
    joints: dict[str, Finite]
    reference: dict[str, Finite] = {}
    pictures: dict[str, Annotated[str, Field(pattern=PICTURE)]] = {}


class PoseLog:
    """header: what holds for all; poses: those taken so far."""

    def __init__(self, folder: Path, header: Header, poses: list[StillPose]):
        self.folder, self.header, self.poses = folder, header, poses

    @property
    def contract(self) -> Contract:
        return self.header.contract

    @classmethod
    def begin(
        cls,
        folder: str | Path,
        contract: Contract,
        board: Board | None = None,
        against: Against | None = None,
    ) -> PoseLog:
        """A new log; raises UserError where the folder has one already."""
        folder = Path(folder)
        if (folder / FILE_NAME).exists():
            raise UserError(f"{folder} has poses already: name a new folder for each time")
        make_folder(folder)
        header = Header(contract=contract, board=board, against=against)
        # of a contract the plain form, as in episodes
        raw = {**header.model_dump(mode="json", exclude_none=True), "contract": contract.to_dict()}
        log = cls(folder, header, [])
        log._append(json.dumps(raw))
        sync_folder(folder)
        return log

    @classmethod
    def read(cls, folder: str | Path) -> PoseLog:
        """A log as far as it was written; raises UserError where it is none. A last line that was
        cut off, as by a power cut, is no pose."""
        path = Path(folder) / FILE_NAME
        try:
            text = read_text_up_to(path, LARGEST_BYTES)
        except FileNotFoundError:
            raise UserError(
                f"no poses in {folder}: name a folder with a {FILE_NAME}, as the calibration node "
                "writes it"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): restore it") from None
        lines = text.split("\n")[:-1]
        if not lines:
            raise UserError(f"{path} is empty: take the poses anew")
        header = checked(Header, _parsed(lines[0], path, 1), f"{path}, line 1")
        poses = [
            checked(StillPose, _parsed(line, path, number), f"{path}, line {number}")
            for number, line in enumerate(lines[1:], 2)
        ]
        log = cls(Path(folder), header, poses)
        for number, pose in enumerate(poses, 2):
            if missing := sorted(set(log.contract.joint_names) - pose.joints.keys()):
                raise UserError(f"{path}, line {number} lacks joint {missing[0]}: take it anew")
        return log

    def add(
        self,
        stamp_ns: int,
        joints: dict[str, float],
        reference: dict[str, float] | None = None,
        pictures: dict[str, np.ndarray] | None = None,
    ) -> StillPose:
        """A pose with its pictures by camera, (H, W) or (H, W, 3) uint8 in RGB; on the disk on
        return."""
        files = {
            camera: self._picture(camera, picture) for camera, picture in (pictures or {}).items()
        }
        pose = StillPose(
            stamp_ns=stamp_ns, joints=joints, reference=reference or {}, pictures=files
        )
        self._append(pose.model_dump_json())
        self.poses.append(pose)
        return pose

    @property
    def sha256(self) -> str:
        """Of what the log is of and of its first pose, whose time no other has: it stays as poses
        are added, and wherever the folder is."""
        first = self.poses[0].model_dump_json() if self.poses else ""
        text = json.dumps(self.contract.to_dict(), sort_keys=True) + first
        return hashlib.sha256(text.encode()).hexdigest()

    def joints(self) -> np.ndarray:
        """(N, Da) in the contract's order [unit]."""
        names = self.contract.joint_names
        rows = [[pose.joints[name] for name in names] for pose in self.poses]
        return np.array(rows, dtype=np.float64).reshape(-1, len(names))

    def encoders(self) -> np.ndarray:
        """(N, Da) what the arm's encoders counted, before any correction [unit]."""
        correction = self.contract.correction_of(self.contract.streams["joint_state"])
        joints = self.joints()
        return joints if correction is None else correction.encoders(joints)

    def picture(self, pose: StillPose, camera: str) -> np.ndarray:
        """(H, W) uint8, grey; raises UserError where it is not there or not whole."""
        path = self.folder / pose.pictures[camera]
        cv2 = opencv()
        found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        if found is None:
            raise UserError(f"{path} is no picture: restore it, or remove its pose")
        return found

    def _picture(self, camera: str, picture: np.ndarray) -> str:
        cv2 = opencv()
        name = f"{camera}/{len(self.poses):06d}.png"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        shown = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        done, packed = cv2.imencode(".png", shown)
        if not done:
            raise ValueError(f"a picture of {picture.shape} {picture.dtype} cannot be packed")
        with path.open("wb") as file:
            file.write(packed.tobytes())
            sync_file(file)
        sync_folder(path.parent)
        return name

    def _append(self, line: str) -> None:
        with (self.folder / FILE_NAME).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            sync_file(file)


def _parsed(line: str, path: Path, number: int) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number} is no JSON ({error}): restore it") from None
