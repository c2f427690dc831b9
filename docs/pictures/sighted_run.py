"""What cameras saw while a policy drove by them: cameras_run.png beside this file.

    python docs/pictures/sighted_run.py BUNDLE TASK [--seed SEED] [--time-base sim]

Starts the nodes of `ros2 launch vdd_ros run_policy.launch.py sim:=true bundle:=BUNDLE task:=TASK
contract:=config/panda_TASK_images.yaml seed:=SEED`, each in a process of its own and with the same
parameters, and looks on from another one until the simulation says how it ended. On a machine that
is too slow for real time `--time-base sim` lets the simulation wait for pictures and commands. A
column for each of six moments, from the first command to the last; below, the commands themselves,
and a line at each moment.
"""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from live_run import CLOCK, DIAGNOSTICS, STATE, ended, played, said
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vdd_ros.bag import header_stamp_ns
from vdd_ros.cdr import NS_PER_S
from vdd_ros.commands.page.charts import PALE, STYLE, expert_colour, plain, png
from vdd_ros.contract import Contract
from vdd_ros.images import decode_image

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
OUT = Path(__file__).parent / "cameras_run.png"
MOMENTS = 6


def contract_of(task: str) -> Path:
    """Where a task has what its cameras are."""
    return CONFIG / f"panda_{task}_images.yaml"


def commands(messages: dict, contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """(N,) when they were sent [ns of /clock], and (N, Da) where to [unit]."""
    from rclpy.serialization import deserialize_message
    from rosgraph_msgs.msg import Clock
    from std_msgs.msg import Float64MultiArray

    found = messages[contract.streams["robot_command"].topic]
    if not found:
        raise SystemExit(f"no command was sent: {said(messages, DIAGNOSTICS).message}")
    clock = [deserialize_message(data, Clock).clock for _, data in messages[CLOCK]]
    told_ns = [one.sec * NS_PER_S + one.nanosec for one in clock]
    at_ns = [sent_ns for sent_ns, _ in messages[CLOCK]]
    sent_ns = np.interp([sent_ns for sent_ns, _ in found], at_ns, told_ns)
    rows = [deserialize_message(data, Float64MultiArray).data for _, data in found]
    return sent_ns, np.array(rows)


def drawn(messages: dict, contract: Contract) -> bytes:
    """The picture, a PNG."""
    times_ns, rows = commands(messages, contract)
    moments_ns = np.linspace(times_ns[0], times_ns[-1], MOMENTS)
    names = contract.observed_cameras
    figure = Figure(figsize=(7.0, 1.2 * len(names) + 2.0), layout="constrained")
    grid = figure.add_gridspec(
        len(names) + 1, MOMENTS, height_ratios=[*[1.0] * len(names), 1.4], hspace=0.02, wspace=0.02
    )
    for row, name in enumerate(names):
        camera = contract.cameras[name]
        found = [data for _, data in messages[camera.topic]]
        stamps_ns = np.array([header_stamp_ns(data) for data in found])
        for column, moment_ns in enumerate(moments_ns):
            number = max(0, int(np.searchsorted(stamps_ns, moment_ns, side="right")) - 1)
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(decode_image(camera, found[number]))
            axes.set(xticks=[], yticks=[])
            if column == 0:
                axes.set_ylabel(name, **STYLE)
            if row == 0:
                axes.set_title(f"{(moment_ns - times_ns[0]) * 1e-9:.1f} s", **STYLE)
    below = figure.add_subplot(grid[-1, :])
    _draw_commands(below, (times_ns - times_ns[0]) * 1e-9, rows - rows[0])
    for moment_ns in moments_ns:
        below.axvline((moment_ns - times_ns[0]) * 1e-9, color=PALE, linewidth=1)
    return png(figure)


def _draw_commands(axes: Axes, times_s: np.ndarray, moved: np.ndarray) -> None:
    plain(axes)
    for joint, values in enumerate(moved.T):
        axes.plot(times_s, values, color=expert_colour(joint), linewidth=1)
    axes.set_xlim(0.0, times_s[-1])
    axes.set_xlabel("seconds since the first command", **STYLE)
    axes.set_ylabel("commands, less the first\n[rad; gripper 0 to 1]", **STYLE)


def main(bundle: Path, task: str, seed: int, time_base: str) -> None:
    """Play it, draw it, and say how it went."""
    path = contract_of(task)
    contract = Contract.from_yaml(path)
    seen = (*contract.observed_cameras, "robot_command")
    with tempfile.TemporaryDirectory() as folder:
        messages = played(bundle, path, seen, task, seed, time_base, Path(folder))
    OUT.write_bytes(drawn(messages, contract))
    values = {pair.key: pair.value for pair in said(messages, STATE).values}
    print(f"{ended(messages)}; stop: {values['stop_reason'] or 'none'} {values['stop_detail']}")
    for name in contract.observed_cameras:
        told = [f"{key} {values[f'camera_{name}_{key}']}" for key in ("seen", "dropped", "broken")]
        distance, most = (values.get(f"image_{name}_{key}") for key in ("distance", "threshold"))
        print(f"{name}: {', '.join(told)}; distance {distance}, threshold {most}")
    print(f"{OUT}: {OUT.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    given = ArgumentParser()
    given.add_argument("bundle", type=Path)
    given.add_argument("task")
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--time-base", choices=("wall", "sim"), default="wall")
    main(**vars(given.parse_args()))
