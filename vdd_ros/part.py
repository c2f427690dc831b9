"""Part: where a recording lies until it is saved, and what is known of it beside its messages.

`<folder>/.part-<name>` is in the hands of a recorder, `<folder>/.quarantine/<name>` is what could
not become an episode. Both have a journal, `part.json`: who demonstrated what, with what label and
notes. It is written when the recording begins and whenever something is added, so that it outlives
the recorder as the messages do.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import JsonValue, ValidationError

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.durable import replace_text
from vdd_ros.episode_log import DELETED, EpisodeLog
from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.manifest import Calibration, ClockSummary, Nanoseconds, Provenance
from vdd_ros.timing_verdict import Finding

PART_PREFIX = ".part-"
QUARANTINE = ".quarantine"  # of a folder of episodes
JOURNAL = "part.json"
LARGEST_BYTES = 4 * 1024 * 1024


class Journal(Part):
    """As in a manifest, as far as it is known before the recording is judged.

    stopped_ns: ROS clock, None of one that was never stopped; has_cameras: whether pictures were
    recorded; lost, missing: messages by stream or camera; beside: what was found of the clocks;
    damage: why it could not be saved, as a clause.
    """

    format_version: Literal[1] = 1
    task: str
    started: str
    started_ns: Nanoseconds
    stopped_ns: Nanoseconds | None = None
    has_cameras: bool = False
    provenance: Provenance = Provenance()
    calibration: Calibration | None = None
    clocks: dict[str, ClockSummary] = {}
    meta: dict[str, JsonValue] = {}
    lost: dict[str, int] = {}
    missing: dict[str, int] = {}
    beside: tuple[Finding, ...] = ()
    damage: str | None = None

    @property
    def kinds(self) -> tuple:
        """What is known, without how many and how much of it."""
        streams = (set(self.lost), set(self.missing))
        return self.meta, self.beside, self.damage, set(self.clocks), *streams

    def write(self, folder: Path) -> None:
        """On the disk on return; who reads meanwhile sees this one or the one before. Raises
        OSError."""
        replace_text(folder / JOURNAL, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Journal | None:
        """That of a recording; None where there is none, or none that can be read."""
        try:
            return cls.model_validate(json.loads(read_text_up_to(folder / JOURNAL, LARGEST_BYTES)))
        except (OSError, ValueError, RecursionError, UserError, ValidationError):
            return None


def left_overs(folder: Path) -> list[str]:
    """Names of the recordings in the quarantine of a folder; pictures that were set aside while
    their joints were saved are none."""
    names = (path.name for path in (folder / QUARANTINE).glob("*") if path.is_dir())
    return sorted(
        name
        for name in names
        if not name.startswith(".") and (folder / QUARANTINE / name / f"{name}_0.mcap").is_file()
    )


def told_of(folder: Path, count: int) -> str:
    """So many recordings are left over: in a sentence, with what to do."""
    ones = "1 recording was" if count == 1 else f"{count} recordings were"
    return f"{ones} never saved: `vdd dataset recover {folder}` lists and makes episodes of them"


def next_name(folder: Path, prefix: str) -> str:
    """`<prefix>_0001` and so on; numbers of unsaved, quarantined and deleted recordings, and of
    those whose pictures alone were set aside, are not used again."""
    entries = [*folder.iterdir(), *folder.glob(f"{QUARANTINE}/*"), *folder.glob(f"{DELETED}/*")]
    names = [entry.name.removeprefix(PART_PREFIX) for entry in entries]
    names += EpisodeLog.read(folder).names
    pattern = re.compile(re.escape(prefix) + r"_(\d+)(_cameras(\.\d+)?)?")
    taken = [int(match[1]) for name in names if (match := pattern.fullmatch(name))]
    return f"{prefix}_{max(taken, default=0) + 1:04d}"
