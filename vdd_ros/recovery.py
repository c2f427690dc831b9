"""Recovery: what a killed process left in its part folder is reported and set aside, not lost."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from vdd_ros.bag import BagWriter, read_bag
from vdd_ros.bag_mending import Mended
from vdd_ros.bag_salvage import Salvaged, salvage
from vdd_ros.camera_images import CAMERAS, camera_bag
from vdd_ros.camera_judgement import mend_cameras
from vdd_ros.contract import Contract
from vdd_ros.durable import lock_folder, sync_folder
from vdd_ros.part import JOURNAL, PART_PREFIX, QUARANTINE, Journal

# For who writes pictures to notice that who records joints is gone, and to finish its file.
PATIENCE_S, LOOK_S = 10.0, 0.01


class Recovered(NamedTuple):
    """path: the quarantine folder, a rosbag2 of the messages that were readable, or where the
    recording lies because a full disk does not take it; damage: why no more were, None when the
    recording was whole but never saved (a file that is damaged and does not just end early lies
    beside them, as NAME_damaged.mcap); is_damaged: whether it is; images: messages of cameras, in a
    rosbag2 below it; of_images: what of that is damaged, None where nothing is.
    """

    name: str
    path: Path
    messages: int
    damage: str | None
    images: int = 0
    is_damaged: bool = False
    of_images: str | None = None

    def __str__(self) -> str:
        state = f"ends early ({self.damage})" if self.damage else "is whole but was never saved"
        if self.is_damaged:
            state = f"is damaged ({self.damage})"
        images = f" and {self.images} of cameras" if self.images else ""
        told = f"{self.name} {state}: {self.messages} messages{images} are kept in {self.path}"
        return f"{told}; of its pictures' file: {self.of_images}" if self.of_images else told


def recover(folder: str | Path) -> list[Recovered]:
    """Move every abandoned recording of a folder into its quarantine; those in progress stay."""
    found = []
    for part in sorted(Path(folder).glob(f"{PART_PREFIX}*")):
        held = lock_folder(part)
        if held is not None:
            try:
                found.append(quarantine(part))
            finally:
                os.close(held)
    return found


def quarantine(part: Path) -> Recovered:
    """Set one recording aside that nobody writes any more and that this process holds; it stays
    where it is, and that is said, while the disk does not give or take it."""
    name = part.name.removeprefix(PART_PREFIX)
    target = part.parent / QUARANTINE / name
    source = part / f"{name}_0.mcap"
    # a recovery may have been killed after its work, before it had tidied up
    is_done = target.exists()
    messages, mended = 0, None
    try:
        contents = salvage(source) if source.exists() else Salvaged(None, [], [])
        damage = contents.damage if source.exists() else "nothing in it"
        messages = _messages_in(target) if is_done else len(contents.messages)
        mended = _mend_cameras(part, name)
        if not is_done:
            _set_aside(part, target, contents)
        _move_cameras(part, target)
        if contents.is_damaged and source.exists():
            source.rename(target / f"{name}_damaged.mcap")  # there may be more behind the damage
            sync_folder(target)
    except OSError as error:
        why = f"not set aside yet, {error.strerror or error}"
        return Recovered(name, part, messages, why, mended.messages if mended else 0)
    shutil.rmtree(part, ignore_errors=True)  # what cannot be removed now is at the next start
    return Recovered(
        name,
        target,
        messages,
        None if is_done else damage,
        mended.messages if mended else 0,
        contents.is_damaged and not is_done,
        mended.damage if mended and mended.is_damaged else None,
    )


def _mend_cameras(part: Path, name: str) -> Mended | None:
    """Have the bag of pictures of an abandoned recording end well, where it lies; None where there
    is none. Raises OSError, also while somebody still writes it."""
    path = camera_bag(part, name)
    if not path.is_file():
        return None
    end_s = time.monotonic() + PATIENCE_S
    while (held := lock_folder(path.parent)) is None:
        if time.monotonic() > end_s:
            raise OSError(errno.EBUSY, "its pictures are still being written")
        time.sleep(LOOK_S)
    try:
        return mend_cameras(path)
    finally:
        os.close(held)


def _move_cameras(part: Path, target: Path) -> None:
    """Bring mended pictures to where the rest is. That comes first and is a copy: whatever moment
    this is broken off at, the pictures are in one of the two places."""
    if not (part / CAMERAS).is_dir() or (target / CAMERAS).exists():
        return
    (part / CAMERAS).rename(target / CAMERAS)
    for folder in (target, part):
        sync_folder(folder)


def _set_aside(part: Path, target: Path, contents: Salvaged) -> None:
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
        _keep_journal(part, unfinished, contents)
        unfinished.rename(target)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for folder in (target.parent, target.parent.parent):
        sync_folder(folder)


def _copy(folder: Path, name: str, contents: Salvaged, contract: Contract) -> None:
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


def _keep_journal(part: Path, folder: Path, contents: Salvaged) -> None:
    """What is known of a recording goes with it, and what of it is damaged."""
    journal = Journal.read(part)
    if journal is not None:
        damage = journal.damage or contents.damage
        journal.model_copy(update={"damage": damage}).write(folder)
    elif (part / JOURNAL).is_file():  # not readable here, perhaps by a person
        shutil.copy2(part / JOURNAL, folder / JOURNAL)


def _messages_in(folder: Path) -> int:
    return sum(len(read_bag(path).messages) for path in folder.glob("*_0.mcap"))
