"""Picture and clip of every task that the scripted operator shows, into docs/pictures/tasks/.

    python docs/pictures/make.py [TASK ...]

TASK.png: how an episode begins, and its middle. TASK.webp: the whole episode in five seconds. They
are rendered without a display, by EGL or what MUJOCO_GL says (osmesa, glfw).
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # read when mujoco is imported

import mujoco
import numpy as np
from PIL import Image

from vdd_ros.sim.demonstrators import OPERATORS, operator_of
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.loops import lead

FOLDER = Path(__file__).parent / "tasks"
PICTURE, CLIP = (400, 300), (320, 240)  # [pixels] of one frame, width and height
FRAMES, FRAME_MS = 40, 100  # of a clip
LAST_FRAME_MS = 1000
COLOURS = 256  # of a picture
QUALITY = 55  # of a clip, of 100
LOOK_AT = (0.48, 0.0, 0.08)  # [m, base frame]
DISTANCE, AZIMUTH, ELEVATION = 1.05, 150.0, -35.0  # [m, deg, deg] from there to the camera
COLLISION_GEOMS = 0  # their group, which is not shown
TICK_S = 0.01
TRIES = 10


def episode(env: RobosuiteEnv, task: str) -> np.ndarray:
    """(T, Q) positions of everything at every tick of a successful episode."""
    rng = np.random.default_rng(0)
    operator = operator_of(task, rng)
    for context in range(TRIES):
        env.reset(context)
        positions = [env.task.sim.data.qpos.copy()]
        mode = env.task.n_modes // 2
        for _ in lead(env, operator, mode, TICK_S):
            positions.append(env.task.sim.data.qpos.copy())
        if env.status().success:
            return np.array(positions)
    raise SystemExit(f"{task}: no episode of {TRIES} succeeded")


def render(env: RobosuiteEnv, positions: np.ndarray, size: tuple[int, int]) -> list[Image.Image]:
    """One image (width, height) for each of `positions` (N, Q)."""
    model, data = env.task.sim.model._model, env.task.sim.data._data
    model.vis.global_.offwidth, model.vis.global_.offheight = size
    options = mujoco.MjvOption()
    options.geomgroup[COLLISION_GEOMS] = 0
    camera = mujoco.MjvCamera()
    camera.lookat[:] = env.task.table_origin + LOOK_AT
    camera.distance, camera.azimuth, camera.elevation = DISTANCE, AZIMUTH, ELEVATION
    images = []
    with closing(mujoco.Renderer(model, height=size[1], width=size[0])) as renderer:
        for position in positions:
            data.qpos[:] = position
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera, options)
            images.append(Image.fromarray(renderer.render()))
    return images


def save_picture(path: Path, images: list[Image.Image]) -> None:
    """Side by side."""
    whole = Image.fromarray(np.hstack([np.asarray(image) for image in images]))
    # median cut would leave small things grey
    method = Image.Quantize.MAXCOVERAGE
    whole.quantize(COLOURS, method, dither=Image.Dither.NONE).save(path, optimize=True)


def save_clip(path: Path, images: list[Image.Image]) -> None:
    """One after the other, over and over."""
    shown_ms = [FRAME_MS] * (len(images) - 1) + [LAST_FRAME_MS]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=shown_ms, loop=0,
        quality=QUALITY, method=6,
    )  # fmt: skip


def make(task: str) -> None:
    """Both files of a task."""
    with closing(RobosuiteEnv(task)) as env:
        positions = episode(env, task)
        middle = positions[[0, len(positions) // 2]]
        frames = positions[np.linspace(0, len(positions) - 1, FRAMES).round().astype(int)]
        save_picture(FOLDER / f"{task}.png", render(env, middle, PICTURE))
        save_clip(FOLDER / f"{task}.webp", render(env, frames, CLIP))


def main() -> None:
    """All tasks, or those that are named."""
    FOLDER.mkdir(exist_ok=True)
    for task in sys.argv[1:] or OPERATORS:
        make(task)
        sizes = [(FOLDER / f"{task}.{kind}").stat().st_size // 1024 for kind in ("png", "webp")]
        print(f"{task}: picture {sizes[0]} KiB, clip {sizes[1]} KiB")


if __name__ == "__main__":
    main()
