"""A policy crosses the field of `avoid` again and again over ROS: drive.gif beside this file.

    python docs/pictures/drive.py BUNDLE [--times 8]

Each crossing is a run of the nodes of `ros2 launch vdd_ros run_policy.launch.py sim:=true
bundle:=BUNDLE seed:=SEED`, in real time, with seeds from 0 on; none is left out. On the left what
the joint states of the simulated robot say, three times as fast as it was; on the right the way of
the rod from above, one beside the others. Rendered as `make.py` does.
"""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # read when mujoco is imported

import numpy as np
from live_run import ended, played
from make import render
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from vdd_ros.commands.demo.pictures import draw_field, way_colour
from vdd_ros.commands.page.charts import FAILED, INK
from vdd_ros.contract import Contract
from vdd_ros.sim.avoid_field import way
from vdd_ros.sim.env import RobosuiteEnv

CONTRACT = Path(__file__).resolve().parents[2] / "config" / "panda_avoid.yaml"
OUT = Path(__file__).parent / "drive.gif"
SCENE, ABOVE = (300, 240), (190, 240)  # [pixels] width and height
FRAME_MS, FASTER = 80, 2.5
STANDS_MS = 2000  # the last frame
COLOURS = 48  # of each half


def joints(messages: dict, contract: Contract) -> np.ndarray:
    """(N, J) [rad] as the robot told them, a row for each frame."""
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import JointState

    told = [
        deserialize_message(data, JointState)
        for _, data in messages[contract.streams["joint_state"].topic]
    ]
    order = [told[0].name.index(name) for name in contract.joint_names]
    rows = np.array([[one.position[index] for index in order] for one in told])
    stamps_s = np.array([one.header.stamp.sec + 1e-9 * one.header.stamp.nanosec for one in told])
    moving = np.flatnonzero(np.abs(rows - rows[0]).max(axis=1) > 1e-3)
    times_s = np.arange(stamps_s[moving[0]], stamps_s[-1], FASTER * FRAME_MS * 1e-3)
    return rows[np.searchsorted(stamps_s, times_s)]


def placed(env: RobosuiteEnv, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """(N, Q) positions of everything, and (N, 2) of the rod [m], of joint positions (N, J)."""
    model, data = env.task.sim.model._model, env.task.sim.data._data
    robot = env.task.robots[0].robot_model
    at = [model.joint(name).qposadr[0] for name in robot.joints]
    positions, rod = [], []
    for row in rows:
        data.qpos[at] = row[: len(at)]
        env.task.sim.forward()
        positions.append(data.qpos.copy())
        rod.append(env.tool_position()[:2].copy())
    return np.array(positions), np.array(rod)


def above(paths: list[np.ndarray], ways: list[int | None]) -> Image.Image:
    """The field with the rod's paths so far, each (N, 2) [m], and the ways that they become."""
    figure = Figure(figsize=(ABOVE[0] / 100, ABOVE[1] / 100), dpi=100, layout="constrained")
    axes = figure.subplots()
    draw_field(axes)
    for path, taken in zip(paths, ways, strict=True):
        colour = FAILED if taken is None else way_colour(taken)
        axes.plot(*path.T, color=colour, linewidth=1.6, zorder=2)
    axes.plot(*paths[-1][-1], "o", color=INK, markersize=4, zorder=7)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def with_palette(scenes: list[Image.Image], beside: list[Image.Image]) -> list[Image.Image]:
    """Frames of one palette, half of it for the scene and half for the lines beside it, whose
    colours are too few pixels to be found among those of the scene."""
    halves = [
        images[-1].quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        for images in (scenes, beside)
    ]
    colours = [(half.getpalette() or [])[: 3 * COLOURS] for half in halves]
    colours[0] += [0] * (3 * COLOURS - len(colours[0]))
    frames = []
    for pair in zip(scenes, beside, strict=True):
        parts = [
            np.asarray(image.quantize(palette=half, dither=Image.Dither.NONE)) + first
            for image, half, first in zip(pair, halves, (0, COLOURS), strict=True)
        ]
        frame = Image.fromarray(np.hstack(parts).astype(np.uint8), "P")
        frame.putpalette(colours[0] + colours[1])
        frames.append(frame)
    return frames


def main(bundle: Path, times: int) -> None:
    """Play them, draw them, and say how each went."""
    contract = Contract.from_yaml(CONTRACT)
    scenes: list[Image.Image] = []
    beside: list[Image.Image] = []
    paths: list[np.ndarray] = []
    ways: list[int | None] = []
    with closing(RobosuiteEnv("avoid")) as env:
        for seed in range(times):
            with tempfile.TemporaryDirectory() as folder:
                messages = played(
                    bundle, CONTRACT, ("joint_state",), "avoid", seed, "wall", Path(folder)
                )
            env.reset(seed)
            rows = [env.observe().position[None], joints(messages, contract)]
            positions, rod = placed(env, np.concatenate(rows))
            ways.append(way(rod))
            print(f"{seed}: {ended(messages)}, way {ways[-1]}")
            shown = render(env, positions, SCENE)
            scenes += shown
            beside += [above([*paths, rod[:end]], ways) for end in range(1, len(shown) + 1)]
            paths.append(rod)
    frames = with_palette(scenes, beside)
    shown_ms = [FRAME_MS] * (len(frames) - 1) + [STANDS_MS]
    frames[0].save(OUT, save_all=True, append_images=frames[1:], duration=shown_ms, loop=0)
    print(f"{OUT}: {len(frames)} frames, {OUT.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    given = ArgumentParser()
    given.add_argument("bundle", type=Path)
    given.add_argument("--times", type=int, default=8)
    main(**vars(given.parse_args()))
