"""What is read of a checkpoint, whosever it is, and how its tensors are taken by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file
from torch import Tensor

from vdd_ros.errors import UserError
from vdd_ros.policies.denoiser import Prediction
from vdd_ros.policies.imported import ImportedConfig, Scaling

WEIGHTS = "model.safetensors"
PREDICTIONS: dict[str, Prediction] = {"epsilon": "epsilon", "sample": "x0"}
MOST_JSON = 1 << 20  # bytes
MOST_WEIGHTS = 4 << 30


@dataclass(frozen=True)
class Checkpoint:
    """weights: of the U-Net, in this project's names; seen, action: normalisation, in the makers'
    units; parts: of what is seen, each with how many numbers, in the net's order; told: what a
    person should know."""

    config: ImportedConfig
    weights: dict[str, Tensor]
    seen: Scaling
    action: Scaling
    parts: dict[str, int]
    told: tuple[str, ...] = ()


class Keys:
    """A mapping of a file, of which every value is asked for with its kind."""

    def __init__(self, values: Any, where: str):
        if not isinstance(values, dict):
            raise UserError(f"{where} is no map of keys: restore the file")
        self.values, self.where = values, where

    def get(self, name: str, kind: type, default: Any = ...) -> Any:
        """A value; a whole number is a float too, and nothing else is anything else."""
        value = self.values.get(name, default)
        if value is ...:
            raise UserError(f"{self.where} has no {name!r}: restore the file")
        if value is None and default is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or (isinstance(value, float) and not np.isfinite(value)):
            raise UserError(f"{self.where}: {name} is {value!r:.60}, which is no {kind.__name__}")
        return value

    def sizes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers above zero."""
        value = self.get(name, list)
        if not value or any(type(one) is not int or one < 1 for one in value):
            raise UserError(f"{self.where}: {name} is {value!r:.60}, which are no sizes")
        return tuple(value)

    def under(self, name: str) -> Keys:
        """A mapping in it."""
        return Keys(self.values.get(name), f"{self.where}: {name}")

    def require(self, name: str, allowed: tuple, instead: str, default: Any = None) -> Any:
        """A value that is one of those allowed, by kind as well."""
        value = self.values.get(name, default)
        if not any(value == one and type(value) is type(one) for one in allowed):
            names = ", ".join(map(repr, allowed))
            raise UserError(f"{self.where}: {name} is {value!r:.60}, read is {names}: {instead}")
        return value


def read_json(path: Path) -> Keys:
    """Raises UserError where it is missing, too long or none."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise UserError(f"{path} is larger than {MOST_JSON} bytes: name another")
        return Keys(json.loads(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: copy the whole folder") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): restore it") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """By name, in float32; raises UserError where the file is missing, damaged or not finite."""
    try:
        if path.stat().st_size > MOST_WEIGHTS:
            raise UserError(f"{path} is larger than {MOST_WEIGHTS >> 30} GiB: name another")
        tensors = load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: copy the whole folder") from None
    except UserError:
        raise
    except Exception as error:  # safetensors' Rust errors share no base class below Exception
        raise UserError(f"{path} is damaged ({error}): restore it") from None
    return {name: tensor.float() for name, tensor in tensors.items()}


def taken(tensors: dict[str, Tensor], name: str, size: int, where: Path) -> np.ndarray:
    """(size,) float64: a statistic; raises UserError where it is not there, or no such numbers."""
    if name not in tensors:
        raise UserError(f"{where} has no {name}, without which its units are unknown: restore it")
    value = tensors[name].double().numpy().reshape(-1)
    if len(value) != size or not np.isfinite(value).all():
        raise UserError(f"{where}: {name} is {value.tolist()!r:.60}, not {size} finite numbers")
    return value


def renamed(
    tensors: dict[str, Tensor], names: dict[str, str], others: tuple[str, ...], where: Path
) -> dict[str, Tensor]:
    """The tensors of a net under our names; names: theirs -> ours; others: how names begin that are
    of something else. Raises UserError for one that is missing, and for one that nobody knows."""
    found = {new: tensors[old] for old, new in names.items() if old in tensors}
    if missing := sorted(set(names) - set(tensors)):
        raise UserError(
            f"{where} lacks {missing[0]}{_more(missing)}: its configuration is another network's"
        )
    unknown = sorted(name for name in set(tensors) - set(names) if not name.startswith(others))
    if unknown:
        raise UserError(
            f"{where} holds {unknown[0]}{_more(unknown)}, which is not read: only a 1-D U-Net over "
            "low-dimensional observations is"
        )
    if broken := [name for name, one in found.items() if not one.isfinite().all()]:
        raise UserError(f"{where} has weights that are no finite numbers ({broken[0]}): restore it")
    return found


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def unet_names(config: ImportedConfig, prefix: str, block: dict[str, str], resize: str) -> dict:
    """Their name -> ours of every tensor of a U-Net. block: our part of a FilmBlock -> theirs;
    resize: what theirs has between a resizing layer and its weight."""
    both, names = ("weight", "bias"), {}

    def add(theirs: str, ours: str) -> None:
        names.update({f"{prefix}{theirs}.{one}": f"{ours}.{one}" for one in both})

    def add_block(theirs: str, ours: str, has_beside: bool) -> None:
        for part, their_part in block.items():
            if part != "beside" or has_beside:
                add(f"{theirs}.{their_part}", f"{ours}.{part}")

    channels, last = config.unet.channels, len(config.unet.channels) - 1
    for layer in (1, 3):
        add(f"diffusion_step_encoder.{layer}", f"embed.{layer}")
    for level, (enter, leave) in enumerate(
        zip((config.unet.action_dim, *channels), channels, strict=False)
    ):
        for part in (0, 1):
            has_beside = part == 0 and enter != leave
            add_block(f"down_modules.{level}.{part}", f"down.{level}.{part}", has_beside)
        if level < last:
            add(f"down_modules.{level}.2{resize}", f"down.{level}.2")
    for part in (0, 1):
        add_block(f"mid_modules.{part}", f"middle.{part}", False)
    for level in range(last):
        enter, leave = 2 * channels[last - level], channels[last - level - 1]
        for part in (0, 1):
            has_beside = part == 0 and enter != leave
            add_block(f"up_modules.{level}.{part}", f"up.{level}.{part}", has_beside)
        add(f"up_modules.{level}.2{resize}", f"up.{level}.2")
    for layer in (0, 1):
        add(f"final_conv.0.block.{layer}", f"last.{layer}")
    add("final_conv.1", "out")
    return names
