"""What a kind of damage is, and the sound episodes that it is done to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from vdd_ros.bag import RawMessage, read_bag
from vdd_ros.cdr import joints_cdr
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode_log import LOG
from vdd_ros.manifest import FILE_NAME, FileSummary, Manifest

BEGAN_NS, PERIOD_NS, SECOND = 1_000_000_000, 5_000_000, 1_000_000_000
STARTED = "2026-01-01T00:00:00+00:00"
SECONDS = 0.6  # no longer than a PASS takes: there are many copies
VICTIM, OTHER = "episode_0001", "episode_0002"


class Victim(NamedTuple):
    """The episode to damage, in a folder with another one that stays sound."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / VICTIM

    @property
    def other(self) -> Path:
        return self.folder / OTHER

    @property
    def recording(self) -> Path:
        return self.path / f"{VICTIM}_0.mcap"

    @property
    def manifest(self) -> Path:
        return self.path / FILE_NAME

    @property
    def log(self) -> Path:
        return self.folder / LOG

    def read(self) -> tuple[Manifest, list[RawMessage]]:
        return Manifest.read(self.path), read_bag(self.recording).messages

    def edit(self, **changes: Any) -> None:
        """Change keys of the manifest, and make the log forget what it was."""
        raw = json.loads(self.manifest.read_text()) | changes
        self.manifest.write_text(json.dumps(raw))
        self.log.unlink(missing_ok=True)

    def rehash(self) -> None:
        """Make manifest and log agree with the files as they are now, as a careless copy would."""
        raw = json.loads(self.manifest.read_text())
        names = [name for name in raw["files"] if (self.path / name).is_file()]
        summaries = {name: FileSummary.of(self.path / name).model_dump() for name in names}
        self.edit(files=raw["files"] | summaries)


@dataclass(frozen=True)
class Kind:
    """One kind of damage.

    told: what is done, for people; verdict: what `vdd dataset check` has to say of it; word: what
    its reasons have to contain.
    """

    name: str
    family: str
    told: str
    verdict: Literal["BROKEN", "FAIL", "WARN"]
    word: str
    do: Callable[[Victim], object]


def family(name: str, rows: Sequence[tuple]) -> tuple[Kind, ...]:
    """Kinds of one family, from rows of name, told, verdict, word and what is done."""
    return tuple(Kind(row[0], name, *row[1:]) for row in rows)


def sound_episodes(folder: Path, contract: Contract) -> None:
    """Record two episodes that are PASS, of an arm that swings, with nothing the same in both."""
    recorder = DemoRecorder(contract, folder, "episode", "task", least_free=1)
    for phase in (0.0, 1.0):
        recorder.start(BEGAN_NS, STARTED)
        for tick in range(round(SECONDS * 1e9 / PERIOD_NS)):
            now_ns = BEGAN_NS + tick * PERIOD_NS
            for name in (contract.action.stream, "teleop_command")[: 2 * (tick % 2 == 0)]:
                data = joints_cdr(
                    contract.streams[name], contract, swing(contract, tick, phase), now_ns
                )
                recorder.add(name, data, now_ns)
            data = joints_cdr(
                contract.streams["joint_state"], contract, swing(contract, tick, phase), now_ns
            )
            recorder.add("joint_state", data, now_ns + 300_000)
        recorder.save(BEGAN_NS + round(SECONDS * SECOND))


def swing(contract: Contract, tick: int, phase: float) -> np.ndarray:
    """(Da,) every joint through a tenth of its range."""
    middle = (contract.limit("lower") + contract.limit("upper")) / 2
    angles = 2 * np.pi * tick * PERIOD_NS * 1e-9 + phase + np.arange(len(middle))
    return middle + 0.05 * contract.span * np.sin(angles)
