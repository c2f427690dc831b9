"""Checkpoints: safetensors for numbers, JSON for everything else; never pickle.

A run folder holds run.json (kind, configs, contract, normalizer), weights.safetensors (the averaged
weights that act) and, while it can still be resumed, a state-*.safetensors named for what it is of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary
from vdd_ros.normalizer import Normalizer

FORMAT_VERSION = 1
MAPS = ("configs", "contract", "normalizer", "notes")
ROWS = 65_536  # that a fingerprint looks at together


@dataclass(frozen=True)
class Run:
    """What a run folder says of itself; `configs` holds every choice of training, whole."""

    kind: str  # teacher or student
    configs: dict
    contract: Contract
    normalizer: Normalizer
    notes: dict


def save_run(folder: Path, run: Run, weights: dict[str, Tensor]) -> None:
    """Write the run's description and its averaged weights, each by rename."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "weights.safetensors", weights)
    text = json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "kind": run.kind,
            "configs": run.configs,
            "contract": run.contract.to_dict(),
            "normalizer": run.normalizer.to_dict(),
            "notes": run.notes,
        }
    )
    _replace(folder / "run.json", text.encode())


def load_run(folder: str | Path, kind: str) -> tuple[Run, dict[str, Tensor]]:
    """Read a run of the given kind; UserError says what is missing or does not fit."""
    folder = Path(folder)
    try:
        raw = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"no run at {folder}: name a folder that `vdd train` or `vdd distill` made"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{folder / 'run.json'} is damaged ({error}); train anew") from None
    if not isinstance(raw, dict):
        raise UserError(f"{folder / 'run.json'} is damaged (no map of keys); train anew")
    if raw.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{folder} has format version {raw.get('format_version')!r}, this program reads "
            f"{FORMAT_VERSION}; train anew"
        )
    if raw.get("kind") != kind:
        raise UserError(f"{folder} holds a {raw.get('kind')}, name a {kind} instead")
    raw = {"notes": {}} | raw
    if missing := [name for name in MAPS if name not in raw]:
        raise UserError(f"{folder / 'run.json'} lacks {', '.join(missing)}; train anew")
    if odd := [name for name in MAPS if not isinstance(raw[name], dict)]:
        raise UserError(
            f"{folder / 'run.json'} is damaged ({odd[0]} is no map of keys); train anew"
        )
    contract = Contract.from_dict(raw["contract"], where=f"{folder}/run.json")
    with described(folder, "train anew"):
        normalizer = Normalizer.from_dict(raw["normalizer"])
    run = Run(kind, raw["configs"], contract, normalizer, raw["notes"])
    return run, load_tensors(folder / "weights.safetensors")


@contextmanager
def described(folder: str | Path, remedy: str) -> Iterator[None]:
    """UserError where nothing can be made of what a run says of itself."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        fault = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{folder}/run.json is damaged ({fault}); {remedy}") from None


def checkpoint_hash(folder: Path) -> str:
    """sha256 of a run: of all that it says of itself and of its weights."""
    digest = hashlib.sha256()
    for name in ("run.json", "weights.safetensors"):
        digest.update(f"{name} {FileSummary.of(folder / name).sha256}\n".encode())
    return digest.hexdigest()


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write safetensors under a temporary name, then rename; several processes may do it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)
    part.replace(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """UserError when the file is missing or damaged."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; train anew") from None
    except Exception as error:  # safetensors' Rust errors share no base class below Exception
        raise UserError(f"{path} is damaged ({error}); train anew") from None


def fingerprint(settings: dict, *tensors: Tensor) -> str:
    """Tells apart what was made with other settings or from other numbers."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors:
        for begin in range(0, len(tensor) if tensor.shape else 1, ROWS):
            rows = tensor[begin : begin + ROWS] if tensor.shape else tensor
            digest.update(rows.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], where: str | Path) -> None:
    """Put weights into a module of the same configuration; UserError when they do not fit."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"the weights in {where} do not fit their own configuration ({error}): train anew"
        ) from None


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
