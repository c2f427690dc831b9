"""Which contract a simulated task is done by, where none is named."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.errors import UserError


def contract_of(task: str, given: Path | None) -> Path:
    """The file that was named, otherwise config/panda_TASK.yaml; raises UserError where that is not
    in the folder of the caller."""
    usual = Path(f"config/panda_{task}.yaml")
    if given is None and not usual.is_file():
        raise UserError(
            f"the task {task!r} has no {usual} in {Path.cwd()}: name another task, or a contract, "
            "or start in the folder of vdd_ros's source"
        )
    return given or usual
