"""Recovery: what a killed process left in its part folder is reported and set aside, not lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import BagContents, BagWriter, read_bag
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
    source = part / f"{name}_0.mcap"
    contents = read_bag(source) if source.exists() else BagContents(None, [], "nothing in it")
    target = part.parent / QUARANTINE / name
    # a recovery that was itself interrupted begins anew
    shutil.rmtree(target, ignore_errors=True)
    try:
        _set_aside(part, target, contents)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        why = f"not set aside yet, {error.strerror}"
        return Recovered(name, part, len(contents.messages), why)
    return Recovered(name, target, len(contents.messages), contents.damage)


def _set_aside(part: Path, target: Path, contents: BagContents) -> None:
    """Whole and on the disk before the part folder goes."""
    if contents.contract is None:
        target.parent.mkdir(exist_ok=True)
        part.rename(target)
        return
    target.mkdir(parents=True)
    bag = BagWriter(target, part.name.removeprefix(PART_PREFIX), contents.contract)
    try:
        for message in contents.messages:
            bag.write(message.stream, message.data, message.received_ns)
        bag.close()
    finally:
        bag.abort()
    sync_folder(target)
    shutil.rmtree(part)
