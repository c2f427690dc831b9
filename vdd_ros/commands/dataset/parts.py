"""New folders of episodes of others: there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vdd_ros.durable import link_or_copy, make_folder, sync_folder, write_text
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import Line, saved
from vdd_ros.errors import UserError
from vdd_ros.manifest import FILE_NAME


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which is renamed to `out` and on the disk once it is filled; of one that
    fails nothing is left. Raises UserError where `out` is there already, or the disk refuses it."""
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already: name a folder to make")
    with refusals_told(out):
        make_folder(out.parent)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=out.parent) as name:
            part = Path(name) / out.name
            part.mkdir()
            yield part
            sync_folder(part)
            part.rename(out)
        sync_folder(out.parent)


@contextmanager
def refusals_told(out: Path) -> Iterator[None]:
    """What the disk says while `out` is written becomes UserError."""
    try:
        yield
    except OSError as error:
        told = error.strerror or str(error)
        raise UserError(
            f"writing {out} failed ({told}), and nothing is kept: mend that and repeat it"
        ) from None


def take(store: EpisodeStore, name: str, target: Path) -> Line:
    """Copy an episode that is as it was saved, or link to it where the file system can; the line
    for the log of the folder that it is in now. Raises UserError where its files are not those of
    its manifest, or the manifest is not that of the log: the copy's own log would vouch for both.
    """
    manifest = store.manifest(name)
    store.require_as_saved(name)
    source = store.folder / name
    manifest.check_files(source)
    target.mkdir()
    for file in manifest.files:
        link_or_copy(source / file, target / file)
    write_text(target / FILE_NAME, manifest.model_copy(update={"name": target.name}).to_json())
    for folder in {(target / file).parent for file in manifest.files} | {target}:
        sync_folder(folder)
    return saved(target.parent, target.name, source=str(source))
