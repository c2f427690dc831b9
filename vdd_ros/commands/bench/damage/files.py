"""Damage to files and folders after an episode was saved."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from vdd_ros.commands.bench.damage.kinds import OTHER, VICTIM, Victim, family
from vdd_ros.commands.dataset import delete

TEBIBYTE = 1 << 40
DEEP = 100_000
Make = Callable[[Path], object]


def kept(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Replace a file's content by what becomes of it."""
    path.write_bytes(change(path.read_bytes()))


def replaced(path: Path, make: Make) -> None:
    """Something else in a file's place."""
    path.unlink()
    make(path)


def grown(path: Path) -> None:
    """A hole at the end, which takes no room on the disk."""
    os.truncate(path, TEBIBYTE)


def flipped(content: bytes) -> bytes:
    """One bit in the middle."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def blank(content: bytes) -> bytes:
    """A block of zeros in the middle."""
    begin = len(content) // 2
    return content[:begin] + bytes(512) + content[begin + 512 :]


def lacking(victim: Victim, key: str) -> None:
    """The manifest without a key."""
    raw = json.loads(victim.manifest.read_text())
    del raw[key]
    victim.manifest.write_text(json.dumps(raw))


def foreign(victim: Victim) -> None:
    """The file of another robot's contract in the manifest, hashes and all."""
    raw = json.loads(victim.manifest.read_text())
    raw["contract"]["frames"]["tool"] = "another_tool"
    victim.edit(contract=raw["contract"])


def elsewhere(victim: Victim, name: str) -> None:
    """The manifest names a file that is not the episode's."""
    files = json.loads(victim.manifest.read_text())["files"]
    victim.edit(files=files | {name: {"bytes": 1, "sha256": "0" * 64}})


def copied(victim: Victim, name: str, told: str) -> None:
    """A copy of the other episode in the victim's place."""
    shutil.rmtree(victim.path)
    shutil.copytree(victim.other, victim.folder / name)
    manifest = victim.folder / name / victim.manifest.name
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"name": told}))
    victim.log.unlink()


def through_the_bin(victim: Victim) -> None:
    """Deleted and taken back, after its manifest was written anew."""
    kept(victim.manifest, rewritten)
    with redirect_stdout(StringIO()):
        delete.main(delete.Args(victim.folder, (VICTIM,), yes=True))
        delete.main(delete.Args(victim.folder, (VICTIM,), restore=True))


def rewritten(text: bytes) -> bytes:
    """A manifest with another word in it."""
    return text.replace(b'"task": "t', b'"task": "T')


def swapped(victim: Victim) -> None:
    """The two recordings in each other's place."""
    mine, other = victim.recording, victim.other / f"{OTHER}_0.mcap"
    content = mine.read_bytes()
    mine.write_bytes(other.read_bytes())
    other.write_bytes(content)


def gone(victim: Victim, make: Make = lambda path: None) -> None:
    """Nothing of the episode is left, or something else in its place."""
    shutil.rmtree(victim.path)
    make(victim.path)


MANIFEST = family("manifest", [
    ("missing", "manifest.json is gone", "BROKEN", "not a saved episode",
     lambda v: v.manifest.unlink()),
    ("empty", "no byte is left of it", "BROKEN", "not readable JSON",
     lambda v: v.manifest.write_text("")),
    ("truncated", "its second half is gone", "BROKEN", "not readable JSON",
     lambda v: kept(v.manifest, lambda text: text[: len(text) // 2])),
    ("no_text", "bytes that are no UTF-8", "BROKEN", "not readable JSON",
     lambda v: kept(v.manifest, lambda text: b"\xff\xfe" + text)),
    ("deep", "a hundred thousand brackets", "BROKEN", "not readable JSON",
     lambda v: v.manifest.write_text("[" * DEEP)),
    ("nan", "a duration of NaN", "BROKEN", "NaN is no number",
     lambda v: v.edit(duration_s=float("nan"))),
    ("too_large_a_number", "a duration of 1e999 s", "BROKEN", "1e999 is no number",
     lambda v: kept(v.manifest, lambda t: t.replace(b'"duration_s": 0.6', b'"duration_s": 1e999'))),
    ("other_version", "written by a version to come", "BROKEN", "format_version 2",
     lambda v: v.edit(format_version=2)),
    ("unknown_key", "a key that nobody knows", "BROKEN", "colour",
     lambda v: v.edit(colour="red")),
    ("missing_key", "it does not say its streams", "BROKEN", "streams: Field required",
     lambda v: lacking(v, "streams")),
    ("wrong_type", "a count of messages that is a word", "BROKEN", "started_ns",
     lambda v: v.edit(started_ns="soon")),
    ("rewritten", "a FAIL made a PASS, or any other word changed", "BROKEN",
     "not the one that was saved",
     lambda v: kept(v.manifest, rewritten)),
    ("rewritten_and_restored", "the same, then deleted and taken back from the bin", "BROKEN",
     "not the one that was saved", through_the_bin),
    ("other_name", "that of another episode", "BROKEN", "is that of 'episode_0002'",
     lambda v: shutil.copy(v.other / "manifest.json", v.manifest)),
    ("other_contract", "another contract than the recording's", "BROKEN",
     "another interface", foreign),
    ("path_upwards", "a file outside of the episode", "BROKEN", "files.../secret",
     lambda v: elsewhere(v, "../secret")),
    ("absolute_path", "a file of the system", "BROKEN", "files./etc/passwd",
     lambda v: elsewhere(v, "/etc/passwd")),
    ("no_recording", "no recording among its files", "BROKEN", "names 0 recordings",
     lambda v: v.edit(files={})),
    ("folder", "a folder in its place", "BROKEN", "not readable JSON",
     lambda v: replaced(v.manifest, Path.mkdir)),
    ("pipe", "a named pipe, which would be read for ever", "BROKEN", "is no regular file",
     lambda v: replaced(v.manifest, os.mkfifo)),
    ("link_to_zeros", "a link to /dev/zero, which never ends", "BROKEN", "is no regular file",
     lambda v: replaced(v.manifest, lambda path: path.symlink_to("/dev/zero"))),
    ("link_in_a_circle", "a link to itself", "BROKEN", "not readable JSON",
     lambda v: replaced(v.manifest, lambda path: path.symlink_to(path))),
    ("sparse", "a hole of a tebibyte at its end", "BROKEN", f"has {TEBIBYTE} bytes",
     lambda v: grown(v.manifest)),
])  # fmt: skip

RECORDING = family("recording", [
    ("missing", "the MCAP file is gone", "BROKEN", "is missing",
     lambda v: v.recording.unlink()),
    ("empty", "no byte is left of it", "BROKEN", "truncated: 0 of",
     lambda v: v.recording.write_bytes(b"")),
    ("truncated", "its second half is gone", "BROKEN", "is truncated",
     lambda v: kept(v.recording, lambda data: data[: len(data) // 2])),
    ("byte_short", "its last byte is gone", "BROKEN", "is truncated",
     lambda v: kept(v.recording, lambda data: data[:-1])),
    ("bit_flipped", "one bit is another", "BROKEN", "not the file that was saved",
     lambda v: kept(v.recording, flipped)),
    ("zeros", "a block of zeros", "BROKEN", "not the file that was saved",
     lambda v: kept(v.recording, blank)),
    ("all_zeros", "as long as it was, all zeros", "BROKEN", "not the file that was saved",
     lambda v: kept(v.recording, lambda data: bytes(len(data)))),
    ("grown", "something follows its end", "BROKEN", "has grown",
     lambda v: kept(v.recording, lambda data: data + b"more")),
    ("sparse", "a hole of a tebibyte at its end", "BROKEN", f"has grown: {TEBIBYTE}",
     lambda v: grown(v.recording)),
    ("swapped", "the other episode's in its place", "BROKEN", "episode_0001_0.mcap", swapped),
    ("folder", "a folder in its place", "BROKEN", "is missing",
     lambda v: replaced(v.recording, Path.mkdir)),
    ("dangling_link", "a link to nowhere", "BROKEN", "is missing",
     lambda v: replaced(v.recording, lambda path: path.symlink_to("nowhere"))),
    ("link_to_zeros", "a link to /dev/zero", "BROKEN", "is missing",
     lambda v: replaced(v.recording, lambda path: path.symlink_to("/dev/zero"))),
    ("metadata_missing", "metadata.yaml is gone", "BROKEN", "metadata.yaml is missing",
     lambda v: (v.path / "metadata.yaml").unlink()),
    ("metadata_changed", "metadata.yaml counts other messages", "BROKEN", "metadata.yaml",
     lambda v: kept(v.path / "metadata.yaml", lambda t: t.replace(b"count: 2", b"count: 3"))),
])  # fmt: skip

FOLDER = family("folder", [
    ("vanished", "the episode's folder is gone", "BROKEN", "was saved and is not there", gone),
    ("empty", "nothing is in it", "BROKEN", "not a saved episode",
     lambda v: gone(v, Path.mkdir)),
    ("file", "a file in its place", "BROKEN", "was saved and is not there",
     lambda v: gone(v, Path.touch)),
    ("dangling_link", "a link to nowhere in its place", "BROKEN", "was saved and is not there",
     lambda v: gone(v, lambda path: path.symlink_to("nowhere"))),
    ("renamed", "the folder has another name than the episode", "BROKEN",
     "is that of 'episode_0002'", lambda v: copied(v, VICTIM, OTHER)),
    ("twice", "the other episode once more, with a name of its own", "WARN",
     "of the same recording as",
     lambda v: copied(v, "episode_0003", "episode_0003")),
])  # fmt: skip
