"""What is noted of an episode beside its streams: JSON, in its manifest's `meta`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vdd_ros.errors import UserError

NOTE = "note"  # what a person wrote
SUCCESS = "success"  # what a person said of how it went
LARGEST, DEEPEST = 256 * 1024, 20
LONGEST_CORRECTION = 4096  # characters of a note that is written afterwards


def noted(meta: Mapping[str, object], items: Mapping[str, object]) -> dict:
    """`meta` and some items more; raises UserError for what JSON cannot hold, or too much of it."""
    what = f"{', '.join(items):.80}"
    added = {**meta, **items}
    before, after = str(meta.get(NOTE, "")), str(added.get(NOTE, ""))
    if not after.startswith(before):  # a second note takes nothing from the first
        added[NOTE] = f"{before}; {after}"
    try:
        text = json.dumps(added, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{what}: {error}; note what JSON can hold") from None
    if len(text) > LARGEST or not _is_flat(added):
        raise UserError(
            f"{what}: notes of an episode are {LARGEST >> 10} KiB at most, and {DEEPEST} lists and "
            "objects within each other; note less"
        )
    return added


def corrected(meta: Mapping[str, object], correction: Mapping[str, object]) -> dict:
    """`meta` with what was said later in the place of what was said; None: nothing was."""
    return {key: value for key, value in {**meta, **correction}.items() if value is not None}


def is_correction(items: object) -> bool:
    """Whether something can be said of an episode after it was saved: how it went, and a note."""
    if not isinstance(items, dict) or not items or items.keys() - {SUCCESS, NOTE}:
        return False
    note = items.get(NOTE)
    return isinstance(items.get(SUCCESS), bool | None) and (
        note is None or (isinstance(note, str) and len(note) <= LONGEST_CORRECTION)
    )


def _is_flat(value: object) -> bool:
    """Whether lists and objects lie at most DEEPEST deep within each other."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [one for one in level if isinstance(one, dict | list | tuple)]
        level = [x for one in inner for x in (one.values() if isinstance(one, dict) else one)]
    return not any(isinstance(one, dict | list | tuple) for one in level)
