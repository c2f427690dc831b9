"""EpisodeList: the newest episodes of a folder, with their verdicts."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

from vdd_ros.episode_log import LOG, EpisodeLog
from vdd_ros.episode_notes import NOTE
from vdd_ros.errors import UserError
from vdd_ros.manifest import FILE_NAME, Manifest

NEWEST = 200  # that are shown
MOST_ENTRIES = 20_000  # of a folder that are looked at
LONGEST = 500  # characters of a sentence


class Entry(NamedTuple):
    """A folder that may hold an episode; the numbers tell whether its manifest was replaced."""

    saved_ns: int
    name: str
    changed_ns: int
    bytes: int


class EpisodeList:
    """version: grows whenever what `rows` gives has changed."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.version = 0
        self.total = 0
        self.rows: list[dict] = []
        self._seen: list[Entry] | None = None
        self._known: dict[Entry, dict] = {}
        self._log, self._log_state = EpisodeLog(), (0, 0)

    def look(self) -> None:
        """Read the manifests that are new or changed, and what was corrected since."""
        entries = self._entries()
        newest = sorted(entries, reverse=True)[:NEWEST]
        is_corrected = self._look_at_log()
        if newest == self._seen and len(entries) == self.total and not is_corrected:
            return
        known = {entry: self._known.get(entry) or self._row(entry.name) for entry in newest}
        self._seen, self._known, self.total = newest, known, len(entries)
        self.rows = [known[entry] | self._correction(known[entry]) for entry in newest]
        self.version += 1

    def _look_at_log(self) -> bool:
        """Whether somebody corrected something."""
        try:
            found = (self.folder / LOG).stat()
            state = (found.st_mtime_ns, found.st_size)
        except OSError:
            state = (0, 0)
        if state == self._log_state:
            return False
        before, self._log_state = self._log.corrections, state
        self._log = EpisodeLog.read(self.folder)
        return self._log.corrections != before

    def _correction(self, row: dict) -> dict:
        """Of a row, what is something else by now."""
        found = {} if "fault" in row else self._log.correction_of(self.folder / row["name"])
        shown = {"note": str(found[NOTE] or "")[:LONGEST]} if NOTE in found else {}
        return {**found, **shown}

    def _entries(self) -> list[Entry]:
        entries: list[Entry] = []
        try:
            with os.scandir(self.folder) as found:
                for entry in found:
                    if len(entries) == MOST_ENTRIES:
                        break
                    if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                        continue
                    entries.append(self._entry(entry))
        except OSError:  # the folder is made when the first episode begins
            return []
        return entries

    def _entry(self, found: os.DirEntry[str]) -> Entry:
        try:
            manifest = Path(found.path, FILE_NAME).stat()
            changed = (manifest.st_mtime_ns, manifest.st_size)
        except OSError:
            changed = (0, 0)
        return Entry(found.stat(follow_symlinks=False).st_mtime_ns, found.name, *changed)

    def _row(self, name: str) -> dict:
        """What the page shows of one episode, as plain JSON."""
        try:
            manifest = Manifest.read(self.folder / name)
        except UserError as error:
            return {"name": name, "level": "", "fault": str(error)[:LONGEST]}
        meta = manifest.meta
        return {
            "name": name,
            "level": manifest.verdict.level,
            "reasons": [reason[:LONGEST] for reason in manifest.verdict.reasons[:20]],
            "duration_s": manifest.duration_s if math.isfinite(manifest.duration_s) else None,
            "started": manifest.started[:40],
            "success": meta.get("success") if isinstance(meta.get("success"), bool) else None,
            "note": str(meta.get(NOTE, ""))[:LONGEST],
        }
