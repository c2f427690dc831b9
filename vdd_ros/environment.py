"""Variables of the environment: those that libraries read, and what torchrun says in its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NO_DRAWING = "disable"  # a value of MUJOCO_GL


def prepare_environment() -> None:
    """Set what is needed and not yet set; what the caller has set stays."""
    # No display is assumed: without this, importing robosuite looks for one.
    os.environ.setdefault("MUJOCO_GL", NO_DRAWING)
    # A training's threads wait for each other by asking again, 300,000 times: alone on a processor
    # that costs nothing, beside other programs a step takes 20 times as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # ROS from wheels keeps its resource index in the environment and has no setup file to say so.
    if (Path(sys.prefix) / "share" / "ament_index").is_dir():
        os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)


def installed_configs() -> list[Path]:
    """Folders config/ of this package where it is installed: of the ROS workspaces that are
    sourced, nearest first, and of this interpreter's own prefix."""
    prefixes = [one for one in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if one]
    folders = [Path(prefix) / "share" / "vdd_ros" / "config" for prefix in [*prefixes, sys.prefix]]
    return [folder for folder in folders if folder.is_dir()]


def draw_off_screen() -> None:
    """Let MuJoCo, which is not loaded yet, draw by EGL where nobody said by what."""
    os.environ["MUJOCO_GL"] = drawn_by()


def drawn_by() -> str:
    """A value of MUJOCO_GL: what was said, or EGL where nobody said by what."""
    said = os.environ.get("MUJOCO_GL", NO_DRAWING)
    return "egl" if said == NO_DRAWING else said  # also of a parent that draws nothing


def device_results_folder() -> Path:
    """Where VDD_DEVICE_RESULTS says, else beside this user's other data."""
    if told := os.environ.get("VDD_DEVICE_RESULTS"):
        return Path(told)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "vdd_ros" / "device_results"


def is_first_process() -> bool:
    """Whether this is the process that speaks, of those that torchrun started to do one work."""
    return os.environ.get("RANK", "0") == "0"
