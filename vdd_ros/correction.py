"""Correct what was said of an episode that is saved already: how it went, and its note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import Line, append, manifest_hash
from vdd_ros.episode_notes import LONGEST_CORRECTION, NOTE, SUCCESS, is_correction
from vdd_ros.errors import UserError

WORDS = {True: "a success", False: "a failure", None: "not labelled"}


def correct(folder: str | Path, names: Sequence[str], correction: Mapping[str, object]) -> str:
    """Say something else of episodes from now on, of all or of none; a sentence that tells it.

    Their folders stay as they were saved: it is a line in the folder's log, which every reader
    goes by. None takes a label or a note away. Raises UserError, also where an episode is not as it
    was saved: its line would be that of another one.
    """
    if not is_correction(correction):
        raise UserError(
            f"{str(dict(correction)):.80} corrects nothing: say `{SUCCESS}` (true, false or null), "
            f"`{NOTE}` (a text of {LONGEST_CORRECTION} characters at most, or null), or both"
        )
    store = EpisodeStore(folder)
    there = store.list()
    if missing := [name for name in names if name not in there]:
        raise UserError(
            f"no episode {', '.join(missing):.80} in {folder}: `vdd dataset check` lists them"
        )
    for name in names:
        store.manifest(name)
        store.require_as_saved(name)
    append(
        store.folder,
        [
            Line("corrected", name, manifest_hash(store.folder / name), correction=correction)
            for name in names
        ],
    )
    return f"{', '.join(names)}: {told_of(correction)}"


def told_of(correction: Mapping[str, object]) -> str:
    """In words."""
    words = []
    if SUCCESS in correction:
        words.append(f"{WORDS[correction[SUCCESS]]} from now on")  # type: ignore[index]
    if NOTE in correction:
        words.append(f"note: {correction[NOTE]}" if correction[NOTE] else "without a note")
    return ", ".join(words)
