"""Settings that are dataclasses: what was given, for whoever says what is wrong with it."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any


def given(settings: Any) -> str:
    """Those that are not the usual ones, as `steps=-5, seed=3`."""
    others = [field.name for field in fields(settings) if not _is_usual(settings, field)]
    return ", ".join(f"{name}={getattr(settings, name)!r}" for name in others)


def _is_usual(settings: Any, field: Field) -> bool:
    made = field.default_factory
    usual = field.default if made is MISSING else made()
    return bool(getattr(settings, field.name) == usual)
