"""Checkpoints of others, as files of numbers: safetensors and JSON. Nothing is unpickled."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.errors import UserError
from vdd_ros.policies.foreign import diffusion_policy, lerobot
from vdd_ros.policies.foreign.checkpoint import WEIGHTS, Checkpoint

PICKLED = (".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".bin", ".tar")


def read_checkpoint(path: Path) -> Checkpoint:
    """Of either project; raises UserError for what is none, and for what is not read of it."""
    if path.suffix in PICKLED:
        raise UserError(
            f"{path} is a pickle, which can run any program when it is opened, and is not read: "
            f"in the environment of its own project, write its numbers out with\n\n"
            f"{diffusion_policy.RECIPE.replace('CHECKPOINT', str(path))}\n"
            f"and name the folder instead"
        )
    if (path / diffusion_policy.CONFIG).is_file():
        return diffusion_policy.read(path)
    if (path / lerobot.CONFIG).is_file():
        return lerobot.read(path)
    raise UserError(
        f"{path} is no checkpoint that is read: name a folder of LeRobot's with {lerobot.CONFIG} "
        f"and {WEIGHTS}, or one of diffusion_policy's with {diffusion_policy.CONFIG} "
        f"and {WEIGHTS}, which docs/distilling.md says how to write"
    )
