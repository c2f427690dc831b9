"""Log: what was saved in a folder of episodes, corrected and deleted, a line each.

`episodes.jsonl` is only ever added to. An episode's folder says what it is made of; the log says
that it was there, and which manifest it had. So one that vanished, or whose manifest was written
anew, is told from one that never was. What was said wrongly of an episode is corrected here, and
its folder stays as it was saved. A folder without a log is read like any other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, NamedTuple, get_args

from vdd_ros.durable import sync_file, sync_folder
from vdd_ros.episode_notes import is_correction
from vdd_ros.manifest import FILE_NAME as MANIFEST

LOG = "episodes.jsonl"
FORMAT_VERSION = 1
DELETED = ".deleted"  # the bin, in the folder itself
LARGEST_BYTES = 64 << 20  # a third of a million episodes

Event = Literal["saved", "corrected", "deleted", "purged"]


class Line(NamedTuple):
    """One event. manifest: sha256 of the episode's manifest; source: where the episode was taken
    from, by split, merge or trim, empty where it was recorded here; correction: of a `corrected`
    one, what of its `meta` is to be something else (`episode_notes.is_correction`)."""

    event: Event
    episode: str
    manifest: str
    source: str = ""
    correction: Mapping[str, object] | None = None


@dataclass
class EpisodeLog:
    """What the lines of a folder come to.

    kept: sha256 of the manifest of every episode that was saved and not deleted since; deleted: of
    those that were deleted, under each name, in order; corrections: by name and manifest, what was
    said last; names: of all that there ever were; faults: a sentence for every line that cannot be
    read.
    """

    kept: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, list[str]] = field(default_factory=dict)
    corrections: dict[str, dict[str, dict]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> EpisodeLog:
        """The log of a folder, empty where there is none. A last line that was being written when
        the power went is none."""
        log, path = cls(), folder / LOG
        if not path.exists():
            return log
        if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
            log.faults.append(f"{path} is no log: move it away")
            return log
        *lines, _ = path.read_bytes().split(b"\n")
        for number, text in enumerate(lines, 1):
            line = _line(text)
            if line is None:
                log.faults.append(f"{path}: line {number} is not readable")
            else:
                log._take(line)
        return log

    def _take(self, line: Line) -> None:
        self.names.add(line.episode)
        if line.event == "saved":
            self.kept[line.episode] = line.manifest
            return
        if line.correction is not None:
            of_episode = self.corrections.setdefault(line.episode, {})
            of_episode[line.manifest] = {**of_episode.get(line.manifest, {}), **line.correction}
            return
        self.kept.pop(line.episode, None)
        if line.event == "deleted":
            self.deleted.setdefault(line.episode, []).append(line.manifest)

    def correction_of(self, episode: Path) -> dict:
        """What was said of the episode in a folder after it was saved; of another one that had its
        name before it is nothing."""
        found = self.corrections.get(episode.name)
        return {} if found is None else found.get(manifest_hash(episode), {})

    def hash_of_binned(self, name: str, found: str) -> str:
        """The manifest that an episode in the bin was saved with, given that which it has now: the
        same where the log knows it, else the last one that was deleted under its name. One that was
        moved by a process that was ended before it could say so is still kept; one that the log
        never knew is taken as it is."""
        known = self.deleted.get(name, [])
        if name in self.kept:
            known = [*known, self.kept[name]]
        return found if not known or found in known else known[-1]


def append(folder: Path, lines: Iterable[Line]) -> None:
    """Add lines; they are on the disk on return. Raises OSError when it does not take them."""
    path = folder / LOG
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several recorders may save in one folder
        _cut_torn_line(file)
        for event, episode, manifest, source, correction in lines:
            line: dict[str, object] = {
                "format_version": FORMAT_VERSION,
                "event": event,
                "episode": episode,
                "manifest": manifest,
            }
            line |= {"from": source} if source else {}
            line |= {"meta": correction} if correction is not None else {}
            text = json.dumps(line)
            file.write(text.encode() + b"\n")
        sync_file(file)
    sync_folder(folder)


def saved(folder: Path, name: str, source: str = "") -> Line:
    """The line for an episode that lies in a folder."""
    return Line("saved", name, manifest_hash(folder / name), source)


def manifest_hash(episode: Path) -> str:
    """sha256 of an episode's manifest, as it is on the disk; empty where there is none."""
    try:
        return hashlib.sha256((episode / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return ""


def binned(folder: Path) -> set[str]:
    """Hashes of the manifests of what lies in the bin: of an episode that was moved there by a
    process that was ended before it could say so."""
    bin_ = folder / DELETED
    found = bin_.iterdir() if bin_.is_dir() else ()
    return {manifest_hash(path) for path in found} - {""}


def _line(text: bytes) -> Line | None:
    try:
        raw = json.loads(text)
        if raw["format_version"] != FORMAT_VERSION or raw["event"] not in get_args(Event):
            return None
        is_said_later = raw["event"] == "corrected"
        correction = raw["meta"] if is_said_later else None
        if is_said_later and not is_correction(correction):
            return None
        line = Line(raw["event"], raw["episode"], raw["manifest"], raw.get("from", ""), correction)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return line if all(isinstance(part, str) for part in line[:4]) else None


def _cut_torn_line(file: IO[bytes]) -> None:
    """A line that a power cut left unfinished would spoil the next one."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    if whole < end:
        file.truncate(whole)
