"""Make a pair of Ed25519 keys: the private one signs bundles, the public one goes to the robots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from vdd_ros.signature import make_keys


@dataclass(frozen=True)
class Args:
    key: Positional[Path]
    """File of the private key to write; the public key goes beside it, as .pub."""


def main(args: Args) -> dict:
    """Print the public key; raises UserError where one of the files is there already."""
    public = args.key.with_name(f"{args.key.name}.pub")
    word = make_keys(args.key, public)
    print(f"private key {args.key}: keep it secret, off the robots")
    print(f"public key  {public}: {word}")
    return {"private_key": args.key, "public_key": public, "hex": word}
