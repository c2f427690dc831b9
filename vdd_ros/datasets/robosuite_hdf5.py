"""Reads an HDF5 file of robosuite's demonstrations: simulator states, no names, no units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from vdd_ros.datasets.formats import RobosuiteFormat
from vdd_ros.datasets.hdf5 import arrays_in, in_order, matrix, opened
from vdd_ros.datasets.recording import OneAtATime, Recording
from vdd_ros.datasets.source import Source
from vdd_ros.errors import UserError

N_ARM, N_FINGERS, N_ACTIONS = 7, 2, 7
STAMP_DECIMALS = 6  # robosuite adds its time step up; what is beyond microseconds is rounding


def read_robosuite(path: Path, source: Source, layout: RobosuiteFormat) -> OneAtATime[Recording]:
    """Every demonstration of the file, read when it is asked for; raises UserError where it is not
    what was declared."""
    with opened(path, "robosuite") as file:
        _check_env(path, file["data"].attrs, layout)
        names = in_order(file["data"])
        if source.episodes not in (None, len(names)):
            raise UserError(
                f"{path} holds {len(names)} demonstrations, the source declares "
                f"{source.episodes}: restore what is missing or correct the number"
            )

    def recording(number: int) -> Recording:
        with opened(path, "robosuite") as file:
            return _read(path, names[number], file["data"][names[number]], source, layout)

    return OneAtATime(len(names), recording)


def _check_env(path: Path, attributes: Any, layout: RobosuiteFormat) -> None:
    try:
        info = json.loads(attributes["env_info"])
        found = {"env": info["env_name"], "robot": info["robots"]}
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: attribute env_info of 'data' is missing or damaged ({error}); restore it"
        ) from None
    if isinstance(found["robot"], list) and len(found["robot"]) == 1:
        found["robot"] = found["robot"][0]
    for key, value in found.items():
        if value != getattr(layout, key):
            raise UserError(
                f"{path}: env_info says {key} {value!r}, the source declares "
                f"{getattr(layout, key)!r}: name the right file or correct the declaration"
            )


def _read(path: Path, name: str, group: Any, source: Source, layout: RobosuiteFormat) -> Recording:
    where = f"{path}, {name}"
    states = matrix(where, group, "states")
    actions = matrix(where, group, "actions")
    n = layout.n_positions
    # a free joint has seven positions and six velocities, every other joint one of each
    if not 1 + n + N_ARM + N_FINGERS <= states.shape[1] <= 1 + 2 * n:
        raise UserError(
            f"{where}: states have {states.shape[1]} numbers, which time, {n} positions and their "
            f"velocities are not: correct n_positions or restore the file"
        )
    if len(states) != len(actions):
        raise UserError(
            f"{where}: {len(states)} states but {len(actions)} actions; restore the file"
        )
    if actions.shape[1] != N_ACTIONS:
        raise UserError(
            f"{where}: actions have {actions.shape[1]} numbers, {N_ACTIONS} are read (change of "
            f"pose, gripper): import a demonstration made with OSC_POSE"
        )
    qpos, qvel = states[:, 1 : 1 + n], states[:, 1 + n :]
    positions = {f"qpos{i}": qpos[:, i] for i in range(n)}
    positions["finger_opening"] = qpos[:, N_ARM] - qpos[:, N_ARM + 1]
    # the fingers tremble faster than frames come: their velocities say nothing of the next frame
    velocities = {f"qpos{i}": qvel[:-1, i] for i in range(N_ARM)}
    commands = {f"next_{column}": values[1:] for column, values in positions.items()}
    commands |= {f"action{i}": actions[:-1, i] for i in range(N_ACTIONS)}
    return Recording(
        name=name,
        where=where,
        times_s=np.round(states[:-1, 0] - states[:1, 0], STAMP_DECIMALS),
        state={column: values[:-1] for column, values in positions.items()},
        command=commands,
        velocity=velocities,
        meta=_scene(qpos, source),
        not_read=tuple(key for key in arrays_in(group) if key not in ("states", "actions")),
    )


def _scene(qpos: np.ndarray, source: Source) -> dict[str, JsonValue]:
    """The simulated task and the positions of everything in it at the beginning."""
    if source.scene is None or not len(qpos) or not np.isfinite(qpos[0]).all():
        return {}
    return {"simulated_task": source.scene, "scene": qpos[0].tolist()}
