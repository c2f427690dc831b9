"""Reads an HDF5 file of robosuite's demonstrations: simulator states, no names, no units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from vdd_ros.datasets.recording import Recording
from vdd_ros.datasets.source import RobosuiteFormat, Source
from vdd_ros.errors import UserError

N_ARM, N_FINGERS, N_ACTIONS = 7, 2, 7
STAMP_DECIMALS = 6  # robosuite adds its time step up; what is beyond microseconds is rounding


def read_robosuite(path: Path, source: Source, layout: RobosuiteFormat) -> list[Recording]:
    """Every demonstration of the file; raises UserError where it is not what was declared."""
    import h5py

    if not path.is_file():
        raise UserError(f"no file {path}: name an HDF5 file of robosuite demonstrations")
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get("data"), h5py.Group):
                raise UserError(f"{path} has no group 'data'; it is no robosuite demonstration")
            _check_env(path, file["data"].attrs, layout)
            names = sorted(file["data"], key=_number)
            if source.episodes not in (None, len(names)):
                raise UserError(
                    f"{path} holds {len(names)} demonstrations, the source declares "
                    f"{source.episodes}: restore what is missing or correct the number"
                )
            return [_read(path, name, file["data"][name], source, layout) for name in names]
    # h5py's own words for what a damaged file makes of types and sizes
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not readable HDF5 ({error}); restore it") from None


def _number(name: str) -> tuple[int, str]:
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else 0, name)


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
    states = _matrix(where, group, "states")
    actions = _matrix(where, group, "actions")
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
    )


def _scene(qpos: np.ndarray, source: Source) -> dict[str, JsonValue]:
    """The simulated task and the positions of everything in it at the beginning."""
    if source.scene is None or not len(qpos) or not np.isfinite(qpos[0]).all():
        return {}
    return {"simulated_task": source.scene, "scene": qpos[0].tolist()}


def _matrix(where: str, group: Any, name: str) -> np.ndarray:
    """(N, D) float64."""
    import h5py

    if not isinstance(group, h5py.Group) or not isinstance(group.get(name), h5py.Dataset):
        raise UserError(f"{where} lacks {name!r}; restore the file")
    values = np.asarray(group[name][()])
    if values.ndim != 2 or values.dtype.kind != "f":
        raise UserError(
            f"{where}: {name} is {values.dtype} of shape {values.shape}, rows of floats are read; "
            f"restore the file"
        )
    return values.astype(np.float64)
