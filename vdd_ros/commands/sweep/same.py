"""A folder is one sweep's: what another plan led to is not mixed with it.

plan.json of a folder tells by name what a plan said of each thing in it before work on it began. A
plan may get more to do, and may change in what is not finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vdd_ros.durable import replace_text
from vdd_ros.errors import UserError


def said(folder: Path) -> dict[str, Any]:
    """What was said of each thing in `folder`, by name."""
    path = _path(folder)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def require_same(folder: Path, facts: Mapping[str, Any], finished: Iterable[str]) -> None:
    """Raise UserError where what is finished in `folder` came of other facts.

    facts: what the plan says of each thing by name, as plain JSON types; things that it does not
    name are nobody's business.
    """
    before = said(folder)
    for name in finished:
        if name not in facts:
            continue
        if name not in before:
            raise UserError(
                f"{folder / name} is finished, but {_path(folder)} does not say what plan it is "
                f"of: name another --out"
            )
        if found := _difference(before[name], _as_json(facts[name]), name):
            raise UserError(
                f"{folder} holds what another plan led to: {found}. Put that back, or name another "
                f"--out"
            )


def keep(folder: Path, facts: Mapping[str, Any]) -> None:
    """Tell what the plan says of things, before work on them begins."""
    before = said(folder)
    now = before | _as_json(facts)
    if now != before:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(_path(folder), json.dumps(now, indent=1))


def digest_of(facts: Mapping[str, Any]) -> str:
    """Short hash of what decides a policy; what is null or empty says nothing."""
    return hashlib.sha256(json.dumps(_told(facts), sort_keys=True).encode()).hexdigest()[:16]


def _told(facts: Any) -> Any:
    if not isinstance(facts, Mapping):
        return facts
    return {name: _told(one) for name, one in facts.items() if one not in (None, {}, ())}


def _path(folder: Path) -> Path:
    return folder / "plan.json"


def _as_json(facts: Any) -> Any:
    """As a file gives it back: lists for tuples."""
    return json.loads(json.dumps(facts))


def _difference(was: Any, now: Any, place: str) -> str | None:
    """The first place where two JSON values differ, as a clause; null is as good as nothing."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = (
            _difference(was.get(key), now.get(key), f"{place}.{key}")
            for key in dict.fromkeys([*was, *now])
        )
        return next((clause for clause in found if clause), None)
    if was == now:
        return None
    before, after = ("not given" if one is None else json.dumps(one) for one in (was, now))
    return f"{place} was {before} and is {after} now"
