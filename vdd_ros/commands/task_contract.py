"""Which contract a simulated task is done by, where none is named."""

from __future__ import annotations

from pathlib import Path


def contract_of(task: str, given: Path | None) -> Path:
    """The file that was named, otherwise config/panda_TASK.yaml."""
    return given or Path(f"config/panda_{task}.yaml")
