"""LeRobot's DiffusionPolicy: config.json and model.safetensors, of observations without pictures.

Statistics are buffers of the model (to 0.3), or lie beside it with the pipelines that use them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies.foreign.checkpoint import (
    PREDICTIONS,
    WEIGHTS,
    Checkpoint,
    Keys,
    read_json,
    read_tensors,
    renamed,
    taken,
    unet_names,
)
from vdd_ros.policies.imported import ImportedConfig, Scaling
from vdd_ros.policies.unet import UnetSizes

CONFIG = "config.json"
SEEN = {"observation.state": "STATE", "observation.environment_state": "ENV"}  # in the net's order
BLOCK = {
    **{f"first.{layer}": f"conv1.block.{layer}" for layer in (0, 1)},
    **{f"second.{layer}": f"conv2.block.{layer}" for layer in (0, 1)},
    "film.1": "cond_encoder.1",
    "beside": "residual_conv",
}
BUFFERS = ("normalize_inputs.", "normalize_targets.", "unnormalize_outputs.")
HARMLESS = ("rename_observations_processor", "to_batch_processor", "device_processor")
EPSILON = 1e-8  # LeRobot's, against a division by zero


def read(folder: Path) -> Checkpoint:
    """Raises UserError for another policy, for pictures, and for what is missing or damaged."""
    keys = read_json(folder / CONFIG)
    keys.require("type", ("diffusion",), "only LeRobot's DiffusionPolicy is")
    parts = _parts(keys)
    (action,) = _features(keys, "output_features", {"action": "ACTION"}).values()
    config = _config(keys, sum(parts.values()), action)
    tensors = read_tensors(folder / WEIGHTS)
    names = unet_names(config, "diffusion.unet.", BLOCK, "")
    weights = renamed(tensors, names, BUFFERS, folder / WEIGHTS)
    modes = keys.under("normalization_mapping")
    if any(name.startswith(BUFFERS) for name in tensors):
        seen = [
            _of_buffers(tensors, "normalize_inputs", name, modes, size, folder)
            for name, size in parts.items()
        ]
        acted = _of_buffers(tensors, "unnormalize_outputs", "action", modes, action, folder)
    else:
        before = _Pipeline(folder, "policy_preprocessor.json", "normalizer_processor")
        after = _Pipeline(folder, "policy_postprocessor.json", "unnormalizer_processor")
        seen = [before.scaling(name, SEEN[name], size) for name, size in parts.items()]
        acted = after.scaling("action", "ACTION", action)
    joined = Scaling(*(np.concatenate(each) for each in zip(*map(_pair, seen), strict=True)))
    return Checkpoint(config, weights, joined, acted, parts)


def _pair(scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    return scaling.scale, scaling.centre


def _parts(keys: Keys) -> dict[str, int]:
    found = _features(keys, "input_features", SEEN)
    return {name: found[name] for name in SEEN if name in found}


def _features(keys: Keys, name: str, allowed: dict[str, str]) -> dict[str, int]:
    """Of a part of the configuration: each feature with its count of numbers."""
    features, sizes = keys.under(name), {}
    for feature, described in features.values.items():
        if feature not in allowed:
            raise UserError(
                f"{features.where} has {feature}: read are {', '.join(allowed)}; pictures need a "
                "vision backbone, which is not read"
            )
        one = Keys(described, f"{features.where}: {feature}")
        one.require("type", (allowed[feature],), "the feature is of another kind")
        shape = one.sizes("shape")
        if len(shape) != 1:
            raise UserError(f"{one.where} has shape {list(shape)}, read is one list of numbers")
        sizes[feature] = shape[0]
    if next(iter(allowed)) not in sizes:
        raise UserError(f"{features.where} has no {next(iter(allowed))}: restore the file")
    return sizes


def _config(keys: Keys, seen: int, action: int) -> ImportedConfig:
    keys.require("noise_scheduler_type", ("DDPM", "DDIM"), "other schedulers are not", "DDPM")
    predicted = keys.require("prediction_type", tuple(PREDICTIONS), "others are not", "epsilon")
    To = keys.get("n_obs_steps", int)
    is_clipped = keys.get("clip_sample", bool, True)
    unet = UnetSizes(
        action_dim=action,
        cond_dim=seen * To,
        channels=keys.sizes("down_dims"),
        kernel=keys.get("kernel_size", int),
        groups=keys.get("n_groups", int),
        embedding=keys.get("diffusion_step_embed_dim", int),
        has_scale=keys.get("use_film_scale_modulation", bool),
    )
    try:
        return ImportedConfig(
            layout="lerobot",
            n_obs_steps=To,
            steps=keys.get("horizon", int),
            past=To - 1,
            unet=unet,
            prediction=PREDICTIONS[predicted],
            levels=keys.get("num_train_timesteps", int),
            schedule=keys.get("beta_schedule", str),
            beta_first=keys.get("beta_start", float),
            beta_last=keys.get("beta_end", float),
            clip=keys.get("clip_sample_range", float, 1.0) if is_clipped else None,
            executed=keys.get("n_action_steps", int),
        )
    except ValueError as error:
        raise UserError(f"{keys.where}: {error}") from None


def _of_buffers(
    tensors: dict[str, Tensor], who: str, feature: str, modes: Keys, size: int, folder: Path
) -> Scaling:
    kind = "ACTION" if feature == "action" else SEEN[feature]
    prefix = f"{who}.buffer_{feature.replace('.', '_')}"
    slack = EPSILON if who == "normalize_inputs" else 0.0  # that version adds it on the way in only
    return _scaling(tensors, prefix, _mode(modes, kind), size, folder / WEIGHTS, slack, 0.0)


def _renames(step: Keys) -> bool:
    config = step.values.get("config")
    return isinstance(config, dict) and bool(config.get("rename_map"))


class _Pipeline:
    """The one step with statistics of a pipeline that lies beside the model."""

    def __init__(self, folder: Path, name: str, wanted: str):
        steps = read_json(folder / name)
        found = []
        for raw in steps.get("steps", list):
            step = Keys(raw, f"{folder / name}: a step")
            kind = step.get("registry_name", str)
            if kind == wanted:
                found.append(step)
            elif kind not in HARMLESS or _renames(step):
                raise UserError(
                    f"{folder / name} has a step {kind}, which would change numbers and is not "
                    f"read; read are {', '.join(HARMLESS)} that rename nothing"
                )
        if len(found) != 1:
            raise UserError(
                f"{folder / name} has {len(found)} steps {wanted}, one is read: name another"
            )
        state = found[0].get("state_file", str)
        if Path(state).name != state:
            raise UserError(f"{folder / name} names {state!r}, no file beside it: restore it")
        self._path, config = folder / state, found[0].under("config")
        if config.values.get("normalize_observation_keys") is not None:
            raise UserError(f"{config.where} normalises some observations only, which is not read")
        self._modes, self._epsilon = config.under("norm_map"), config.get("eps", float, EPSILON)
        self._tensors, self._goes_in = read_tensors(self._path), wanted == "normalizer_processor"

    def scaling(self, feature: str, kind: str, size: int) -> Scaling:
        """Raises UserError where its statistics are missing."""
        mode = _mode(self._modes, kind)
        slack = self._epsilon if self._goes_in and mode == "MEAN_STD" else 0.0
        floor = 0.0 if mode == "MEAN_STD" else self._epsilon
        return _scaling(self._tensors, feature, mode, size, self._path, slack, floor)


def _mode(modes: Keys, kind: str) -> str:
    allowed = ("MIN_MAX", "MEAN_STD", "IDENTITY")
    return modes.require(kind, allowed, "other ways to normalise are not", "IDENTITY")


def _scaling(
    tensors: dict[str, Tensor],
    prefix: str,
    mode: str,
    size: int,
    where: Path,
    slack: float,
    floor: float,
) -> Scaling:
    """slack: is added to a range or std; floor: takes the place of a range of zero."""
    if mode == "IDENTITY":
        return Scaling(np.ones(size), np.zeros(size))
    names = ("min", "max") if mode == "MIN_MAX" else ("mean", "std")
    first, second = (taken(tensors, f"{prefix}.{name}", size, where) for name in names)
    spread = second - first if mode == "MIN_MAX" else second
    if (spread < 0.0).any():
        raise UserError(f"{where}: {prefix} has a range or deviation below zero: restore it")
    spread = np.where(spread == 0.0, floor, spread) + slack
    if mode == "MEAN_STD":
        return Scaling(spread, first)
    return Scaling(spread / 2.0, first + spread / 2.0)
