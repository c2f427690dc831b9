"""How to draw off screen in a process of its own, as the suite itself draws nothing."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRY = (
    "import mujoco; model = mujoco.MjModel.from_xml_string('<mujoco/>');"
    "renderer = mujoco.Renderer(model, 8, 8);"
    "renderer.update_scene(mujoco.MjData(model)); renderer.render(); renderer.close()"
)


def environment(gl: str) -> dict[str, str]:
    return os.environ | {"MUJOCO_GL": gl, "OMP_NUM_THREADS": "1"}


def gl() -> str:
    """What this machine can draw with; the test is skipped where that is nothing."""
    name = _found()
    if name is None:
        pytest.skip("nothing can be drawn off screen here: install libegl1 or libosmesa6")
    return name


@functools.cache
def _found() -> str | None:
    for name in ("egl", "osmesa"):
        command = [sys.executable, "-c", TRY]
        done = subprocess.run(command, cwd=ROOT, env=environment(name), capture_output=True)
        if done.returncode == 0:
            return name
    return None


def vdd(*words: object, gl: str) -> subprocess.CompletedProcess[str]:
    """A command of its own process."""
    command = [sys.executable, "-m", "vdd_ros.cli", *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(gl), capture_output=True, text=True, timeout=300
    )
