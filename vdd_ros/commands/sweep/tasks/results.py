"""Results of one teacher's policies in one task with one seed: three files of figures by policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from vdd_ros.durable import replace_text

Kind = Literal["fidelity", "rollouts", "latency"]


def told(folder: Path, kind: Kind) -> dict[str, dict]:
    """What is known so far in out/TASK/SEED/TEACHER, by policy."""
    path = _path(folder, kind)
    return json.loads(path.read_text()) if path.exists() else {}


def tell(folder: Path, kind: Kind, results: dict[str, dict]) -> None:
    """Replace what is known."""
    path = _path(folder, kind)
    path.parent.mkdir(exist_ok=True)
    replace_text(path, json.dumps(results, allow_nan=False))


def _path(folder: Path, kind: Kind) -> Path:
    return folder / "results" / f"{kind}.json"
