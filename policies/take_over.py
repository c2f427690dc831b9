"""From a checkpoint of others to a teacher run."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.checkpoint import Run, save_run
from vdd_ros.policies.examples import fit_normalizer
from vdd_ros.policies.foreign.checkpoint import Checkpoint
from vdd_ros.policies.imported import (
    Numbers,
    make_imported,
    map_of_seen,
    normalizer_of,
)
from vdd_ros.policies.runs import Teacher, load_teacher
from vdd_ros.policies.stored_windows import FILE_NAME as WINDOWS
from vdd_ros.policies.stored_windows import store_windows
from vdd_ros.policies.window_source import WindowSource, calibrations_of


@dataclass(frozen=True)
class Declared:
    """Whose numbers a checkpoint's are."""

    contract: Contract
    seen: Numbers
    action: Numbers


def take_over(
    checkpoint: Checkpoint,
    declared: Declared,
    source: WindowSource,
    folder: Path,
    held_out: int,
    origin: dict,
) -> Teacher:
    """Write a teacher run; source: windows by the checkpoint's sizes, which students are distilled
    and judged on; origin: of the checkpoint, for the run's notes. All or nothing: raises UserError
    where the folder exists."""
    if folder.exists():
        raise UserError(f"{folder} exists already: name a folder that does not, or remove it")
    if not 0 < held_out < len(source.facts):
        raise UserError(
            f"{held_out} of {len(source.facts)} episodes held out; hold out at least one and keep "
            "at least one"
        )
    trained_on = len(source.facts) - held_out
    known = source.of(range(trained_on))
    if not len(known) or len(known) == len(source):
        raise UserError(
            "nothing is left to learn from, or nothing is held out: record more episodes"
        )
    config = checkpoint.config
    # of what it says only observations and spread of actions are used
    fitted = fit_normalizer(known, 1, np.random.default_rng(0), 0)
    action = checkpoint.action.in_contract(declared.action)
    normalizer = normalizer_of(config, fitted, action, declared.action)
    weights = _weights(checkpoint, normalizer, declared.seen)
    notes = {
        "held_out": source.names[trained_on:],
        "trained_on": known.names,
        "corrections": [one.name for one in source.facts if one.of_policy],
        "calibrations": calibrations_of(source.facts),
        "imported": origin,
    }
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        store_windows(part / WINDOWS, source, trained_on)
        settings = {"teacher": asdict(config)}
        save_run(part, Run("teacher", settings, declared.contract, normalizer, notes), weights)
        load_teacher(part)
        part.rename(folder)
    finally:  # where it was renamed there is none
        shutil.rmtree(part, ignore_errors=True)
    return load_teacher(folder)


def _weights(checkpoint: Checkpoint, normalizer: Normalizer, seen: Numbers) -> dict[str, Tensor]:
    """Of the denoiser; raises UserError where shapes are not those of the configuration."""
    with torch.device("meta"):  # of sizes that anyone may have written, nothing is filled
        wanted = make_imported(checkpoint.config, *normalizer.sizes).state_dict()
    weights = {f"net.unet.{name}": tensor for name, tensor in checkpoint.weights.items()}
    for name, tensor in weights.items():
        if wanted[name].shape != tensor.shape:
            raise UserError(
                f"the checkpoint's {name.removeprefix('net.unet.')} is {list(tensor.shape)}, its "
                f"configuration makes {list(wanted[name].shape)}: it is another network's"
            )
    scaling = checkpoint.seen.in_contract(seen)
    if (scaling.scale == 0.0).any():
        at = int(np.flatnonzero(scaling.scale == 0.0)[0])
        raise UserError(f"observation number {at} was scaled by a range of zero: it cannot be read")
    slope, at_zero = map_of_seen(normalizer, scaling, seen)
    weights["net.to_seen"] = torch.tensor(slope, dtype=torch.float32)
    weights["net.seen_at_zero"] = torch.tensor(at_zero, dtype=torch.float32)
    return weights
