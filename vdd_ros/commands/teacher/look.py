"""Show what a checkpoint of others is, and begin a declaration of its numbers.

How many numbers it sees and puts out is in it; which they are, and in what unit, is not: the
declaration leaves that open, as ???.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tyro.conf import Positional

from vdd_ros.contract import Contract
from vdd_ros.datasets.policy_numbers import begun
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    checkpoint: Positional[Path]
    """A folder of LeRobot's, or one that diffusion_policy's recipe wrote."""
    contract: Path
    """The robot's contract, whose numbers it is to see and put out."""
    out: Path | None = None
    """File to write the declaration to; not given, it is printed."""


def main(args: Args) -> dict:
    """Print what is there; raises UserError where it is not read."""
    from vdd_ros.policies.foreign import read_checkpoint

    if args.out is not None and args.out.exists():
        raise UserError(f"{args.out} exists already; name a file that does not, or remove it")
    contract, found = Contract.from_yaml(args.contract), read_checkpoint(args.checkpoint)
    config = found.config
    noise = config.sampling_noise
    clipped = "not clipped" if config.clip is None else f"clipped to {config.clip:g}"
    seen = ", ".join(f"{count} {part}" for part, count in found.parts.items())
    print(
        f"{config.layout}: {config.prediction} at {config.levels} levels ({config.schedule}, sigma "
        f"{noise.sigma_min:.3g} to {noise.sigma_max:.3g}), {clipped}\n"
        f"sees {config.n_obs_steps} steps of {seen}"
        f"\nputs out {config.steps} steps of {config.unet.action_dim} numbers, {config.past} of "
        f"them in the past; its makers execute {config.executed}"
    )
    declaration = begun(found.parts, config.unet.action_dim, contract)
    if args.out is None:
        sys.stdout.write(f"\n{declaration}")
    else:
        args.out.write_text(declaration, encoding="utf-8")
        print(f"declaration to fill in: {args.out}")
    return {"ok": True, "teacher": asdict(config), "parts": found.parts, "declaration": declaration}
