"""The folder of a run: what a training keeps there on its way, and what is left in the end."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import Run, fingerprint, save_run


def state_in(folder: Path, settings: dict, *data: Tensor) -> Path:
    """Where a training keeps itself: not where another one would take it up as its own."""
    return folder / f"state-{fingerprint(settings, *data)}.safetensors"


def finish(folder: Path, run: Run, weights: dict[str, Tensor]) -> None:
    """Save a finished run, which needs no state any more; one process does it for all."""
    if distributed.is_first():
        save_run(folder, run, weights)
        for pattern in ("state-*", "windows-*", "pictures-*", "*.part"):
            for path in folder.glob(pattern):
                path.unlink()
    distributed.wait()
