"""Journal: rollouts on the disk, each complete or not at all, so that an evaluation can go on.

rollouts.jsonl      one rollout a line, in the order in which they were told
traces/<seed>.npz   its path, experts and gating entropy; written before its line
"""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vdd_ros.durable import sync_file
from vdd_ros.errors import UserError
from vdd_ros.sim.rollout import Rollout

ARRAYS = ("path", "experts", "gating_entropy")


class Journal:
    """The rollouts of one evaluation in one folder, by seed; opening it drops a line cut short."""

    def __init__(self, folder: Path):
        """Raises UserError where a line is not one of a rollout."""
        self.folder = folder
        self._lines = folder / "rollouts.jsonl"
        (folder / "traces").mkdir(parents=True, exist_ok=True)
        self._lines.touch()
        text = self._lines.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            with self._lines.open("r+b") as file:
                file.truncate(len(whole))
        self.rollouts = {rollout.seed: rollout for rollout in map(self._read, whole.splitlines())}

    def add(self, rollout: Rollout) -> None:
        """Tell one more rollout; on return it is on the disk."""
        facts = vars(rollout).copy()
        arrays = {name: facts.pop(name) for name in ARRAYS}
        with self._trace(rollout.seed).open("wb") as file:
            np.savez_compressed(file, **arrays)
            sync_file(file)
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts, allow_nan=False) + "\n")
            sync_file(file)
        self.rollouts[rollout.seed] = rollout

    def _trace(self, seed: int) -> Path:
        return self.folder / "traces" / f"{seed:06d}.npz"

    def _read(self, line: bytes) -> Rollout:
        try:
            facts = json.loads(line)
            with np.load(self._trace(facts["seed"])) as arrays:
                return Rollout(**facts, **{name: arrays[name] for name in ARRAYS})
        except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
            raise UserError(
                f"{self._lines} has a line that is no rollout ({error}): remove {self.folder} and "
                "evaluate anew"
            ) from None
