"""A folder is one sweep's: what another plan led to is not mixed with it."""

from __future__ import annotations

import json
from pathlib import Path

from vdd_ros.durable import write_text
from vdd_ros.errors import UserError


def require_same(out: Path, facts: dict) -> None:
    """Raise UserError where `out` holds what another plan, or other episodes, led to."""
    text = json.dumps(facts, indent=1)
    path = out / "plan.json"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise UserError(
            f"{out} holds a sweep of another plan or of other episodes ({path} says which): name "
            f"another folder for this one, or remove that"
        )
