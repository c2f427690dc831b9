"""Contracts as read from a file, with something in them changed."""

from __future__ import annotations

import copy


def changed(raw: dict, place: str, value=None) -> dict:
    """A copy with `value` at `place`, such as `joints.0.upper`; None takes the key out."""
    raw = copy.deepcopy(raw)
    *path, last = (int(step) if step.isdigit() else step for step in place.split("."))
    part = raw
    for step in path:
        part = part[step]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return raw
