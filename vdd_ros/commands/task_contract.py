"""Which contract a simulated task is done by, where none is named."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.environment import installed_configs
from vdd_ros.errors import UserError


def contract_of(task: str, given: Path | None) -> Path:
    """The file that was named, otherwise config/panda_TASK.yaml of the caller's folder or of where
    this package is installed; raises UserError where neither has it."""
    if given is not None:
        return given
    name = f"panda_{task}.yaml"
    usual = [folder / name for folder in (Path("config"), *installed_configs())]
    found = next((path for path in usual if path.is_file()), None)
    if found is None:
        raise UserError(
            f"the task {task!r} has no config/{name} in {Path.cwd()}, nor has the installed "
            "vdd_ros: name another task, or a contract"
        )
    return found
