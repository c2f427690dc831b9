"""Recovery: what a killed process left in its part folder is reported and set aside, not lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import BagContents, BagWriter, read_bag
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import PART_PREFIX, QUARANTINE
from vdd_ros.durable import lock_folder, sync_folder


class Recovered(NamedTuple):
    """path: the quarantine folder, a rosbag2 of the messages that were readable, or where the
    recording lies because a full disk does not take it; damage: why no more were, None when the
    recording was whole but never saved.
    """

    name: str
    path: Path
    messages: int
    damage: str | None

    def __str__(self) -> str:
        state = f"ends early ({self.damage})" if self.damage else "is whole but was never saved"
        return f"{self.name} {state}: {self.messages} messages are kept in {self.path}"


def recover(folder: str | Path) -> list[Recovered]:
    """Move every abandoned recording of a folder into its quarantine; those in progress stay."""
    found = []
    for part in sorted(Path(folder).glob(f"{PART_PREFIX}*")):
        held = lock_folder(part)
        if held is not None:
            found.append(_quarantine(part))
            os.close(held)
    return found


def _quarantine(part: Path) -> Recovered:
    name = part.name.removeprefix(PART_PREFIX)
    target = part.parent / QUARANTINE / name
    if target.exists():  # a recovery that was killed after its work, before it had tidied up
        shutil.rmtree(part, ignore_errors=True)
        return Recovered(name, target, _messages_in(target), None)
    source = part / f"{name}_0.mcap"
    contents = read_bag(source) if source.exists() else BagContents(None, [], "nothing in it")
    try:
        _set_aside(part, target, contents)
    except OSError as error:
        why = f"not set aside yet, {error.strerror}"
        return Recovered(name, part, len(contents.messages), why)
    shutil.rmtree(part, ignore_errors=True)  # what cannot be removed now is at the next start
    return Recovered(name, target, len(contents.messages), contents.damage)


def _set_aside(part: Path, target: Path, contents: BagContents) -> None:
    """The target is there whole and on the disk, or not at all; raises OSError."""
    target.parent.mkdir(exist_ok=True)
    if contents.contract is None:
        part.rename(target)
        sync_folder(target.parent)
        return
    unfinished = target.with_name(f"{PART_PREFIX}{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a recovery that was itself interrupted
    try:
        _copy(unfinished, target.name, contents, contents.contract)
        unfinished.rename(target)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for folder in (target.parent, target.parent.parent):
        sync_folder(folder)


def _copy(folder: Path, name: str, contents: BagContents, contract: Contract) -> None:
    """A rosbag2 of what was readable, on the disk on return."""
    folder.mkdir()
    bag = BagWriter(folder, name, contract)
    try:
        for message in contents.messages:
            bag.write(message.stream, message.data, message.received_ns)
        bag.close()
    finally:
        bag.abort()
    sync_folder(folder)


def _messages_in(folder: Path) -> int:
    return sum(len(read_bag(path).messages) for path in folder.glob("*.mcap"))
