"""Description: what an exported dataset says about itself beside its own format, `vdd_ros.json`.

It carries the declaration that reads the dataset again, the contract, and what the format has no
place for; what even this file does not keep is said in it.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from vdd_ros.camera_images import CAMERAS
from vdd_ros.contract import Contract
from vdd_ros.datasets.bounded import read_text
from vdd_ros.datasets.formats import Rosbag2Format
from vdd_ros.datasets.source import Source
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.manifest import (
    Calibration,
    ClockSummary,
    FileSummary,
    Manifest,
    Provenance,
    Verdict,
)
from vdd_ros.yaml_file import checked

FILE_NAME = "vdd_ros.json"
PICTURES = rf"^{CAMERAS}/[A-Za-z0-9_-][A-Za-z0-9._-]*$"
LONGEST_PERIODS = 2.5  # of frames: how old a sample may be before it is missed


EpisodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Losses(Part):
    """Messages of a stream that did not arrive, as in `StreamSummary`."""

    lost: Annotated[int, Field(ge=0)] = 0
    missing: Annotated[int, Field(ge=0)] = 0


class EpisodeFacts(Part):
    """What a manifest said of an episode, and no format has a place for; recording: what the
    dataset calls it; losses: by stream; pictures: files of its cameras that lie beside it, in a
    rosbag2, with what their summaries say was lost. software and response_s are None in what older
    versions exported.
    """

    recording: str
    name: EpisodeName
    task: str
    started: str
    started_ns: int
    duration_s: float
    verdict: Verdict
    provenance: Provenance
    meta: dict[str, JsonValue]
    software: str | None = None
    calibration: Calibration | None = None
    clocks: dict[str, ClockSummary] = {}
    response_s: dict[str, float] | None = None
    losses: dict[str, Losses] = {}
    pictures: dict[Annotated[str, Field(pattern=PICTURES)], FileSummary] = {}

    @model_validator(mode="after")
    def _has_one_bag_of_pictures(self) -> EpisodeFacts:
        bags = [name for name in self.pictures if name.endswith(".mcap")]
        if self.pictures and len(bags) != 1:
            raise ValueError(f"pictures name {len(bags)} recordings, one is expected")
        return self

    @property
    def picture_bag(self) -> PurePath:
        """The recording of its cameras, seen from that of its joints; only where there is one."""
        return PurePath(next(name for name in self.pictures if name.endswith(".mcap")))

    @classmethod
    def of(cls, manifest: Manifest, recording: str, has_pictures: bool) -> EpisodeFacts:
        """has_pictures: whether the files of its cameras come along."""
        own = {"recording", "losses", "pictures"}
        facts = {name: getattr(manifest, name) for name in cls.model_fields if name not in own}
        cameras = manifest.cameras if has_pictures else {}
        files = {name: one for name, one in manifest.files.items() if "/" in name}
        losses = {
            name: Losses(lost=one.lost, missing=one.missing)
            for name, one in (manifest.streams | cameras).items()
            if one.lost or one.missing
        }
        pictures = files if has_pictures else {}
        return cls(recording=recording, losses=losses, pictures=pictures, **facts)

    def told_in(self, manifest: Manifest) -> Manifest:
        """The manifest of an episode that was made of this one, with what was said of this one."""
        streams = {
            name: one.model_copy(update=self.losses[name].model_dump())
            for name, one in manifest.streams.items()
            if name in self.losses
        }
        known = {"software": self.software, "response_s": self.response_s}
        return manifest.model_copy(
            update={
                **{name: value for name, value in known.items() if value is not None},
                "calibration": self.calibration,
                "clocks": self.clocks,
                "streams": manifest.streams | streams,
            }
        )


class Description(Part):
    """source: the declaration; contract: as recorded; lost: what is not in the dataset."""

    format_version: Literal[1] = 1
    software: str
    source: Source
    contract: Contract
    episodes: tuple[EpisodeFacts, ...]
    lost: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write it beside the dataset, durably."""
        plain = self.model_dump(mode="json", exclude_none=True)
        plain["contract"] = self.contract.to_dict()
        write_text(folder / FILE_NAME, json.dumps(plain, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Description:
        """The description of an exported dataset; raises UserError where there is none."""
        path = folder / FILE_NAME
        try:
            raw = json.loads(read_text(path))
        except FileNotFoundError:
            raise UserError(
                f"{folder} has no {FILE_NAME}, so nothing says what its numbers are: name a "
                f"declaration; `vdd dataset look {folder}` begins one"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is not readable JSON ({error}); restore it") from None
        return checked(cls, raw, str(path))

    @property
    def reading_contract(self) -> Contract:
        """The contract that the dataset fits: of frames, every stream comes at their rate."""
        if isinstance(self.source.format, Rosbag2Format):
            return self.contract
        return contract_of_frames(self.contract)


def contract_of_frames(contract: Contract) -> Contract:
    """The same interface for a recording that has one sample of every stream, and one picture of
    every camera, per policy step."""
    raw = contract.to_dict()
    rate_hz = contract.rates.policy_hz
    raw["rates"]["control_hz"] = rate_hz
    for stream in (*raw["streams"].values(), *raw.get("cameras", {}).values()):
        stream["rate_hz"] = rate_hz
        stream["max_age_s"] = max(stream["max_age_s"], LONGEST_PERIODS / rate_hz)
    return Contract.from_dict(raw, f"contract {contract.name}")
