"""Description: what an exported dataset says about itself beside its own format, `vdd_ros.json`.

It carries the declaration that reads the dataset again, the contract, and what the format has no
place for; what even this file does not keep is said in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from vdd_ros.contract import Contract
from vdd_ros.datasets.bounded import read_text
from vdd_ros.datasets.formats import Rosbag2Format
from vdd_ros.datasets.source import Source
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest, Provenance, Verdict
from vdd_ros.yaml_file import checked

FILE_NAME = "vdd_ros.json"
LONGEST_PERIODS = 2.5  # of frames: how old a sample may be before it is missed


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


EpisodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class EpisodeFacts(_Part):
    """What a manifest said of an episode; recording: what the dataset calls it."""

    recording: str
    name: EpisodeName
    task: str
    started: str
    started_ns: int
    duration_s: float
    verdict: Verdict
    provenance: Provenance
    meta: dict[str, JsonValue]

    @classmethod
    def of(cls, manifest: Manifest, recording: str) -> EpisodeFacts:
        facts = {name: getattr(manifest, name) for name in cls.model_fields if name != "recording"}
        return cls(recording=recording, **facts)


class Description(_Part):
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
    """The same interface for a recording that has one sample of every stream per policy step."""
    raw = contract.to_dict()
    rate_hz = contract.rates.policy_hz
    raw["rates"]["control_hz"] = rate_hz
    for stream in raw["streams"].values():
        stream["rate_hz"] = rate_hz
        stream["max_age_s"] = max(stream["max_age_s"], LONGEST_PERIODS / rate_hz)
    return Contract.from_dict(raw, f"contract {contract.name}")
