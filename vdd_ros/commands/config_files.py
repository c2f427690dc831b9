"""Files of config/, where the caller's folder has them or the package is installed."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.environment import installed_configs
from vdd_ros.errors import UserError

CONFIG = Path("config")


def config_file(path: Path) -> Path:
    """The path as it is, or that of the installed package, of config/... that the caller's folder
    lacks. What is nowhere is left as it is, for its reader to complain of."""
    if path.exists() or path.parts[:1] != CONFIG.parts:
        return path
    installed = (folder / path.relative_to(CONFIG) for folder in installed_configs())
    return next((one for one in installed if one.is_file()), path)


def contract_of(task: str, given: Path | None) -> Path:
    """The file that was named, as it is named; otherwise config/panda_TASK.yaml, raises UserError
    where that is neither here nor installed."""
    if given is not None:
        return given
    usual = config_file(CONFIG / f"panda_{task}.yaml")
    if not usual.is_file():
        raise UserError(
            f"the task {task!r} has no {usual} in {Path.cwd()}, nor has the installed vdd_ros: "
            "name another task, or a contract"
        )
    return usual
