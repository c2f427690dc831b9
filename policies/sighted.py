"""Sighted: an encoder and a network that is told what it sees, and what both learn from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from vdd_ros.contract import Contract
from vdd_ros.contract_images import images_interface
from vdd_ros.errors import UserError
from vdd_ros.policies import distributed
from vdd_ros.policies.checkpoint import Run, fingerprint, load_tensors, save_tensors
from vdd_ros.policies.device import placed
from vdd_ros.policies.encoder import Encoder, EncoderConfig
from vdd_ros.policies.examples import Examples
from vdd_ros.policies.stored_pictures import StoredPictures, store_pictures
from vdd_ros.policies.stored_windows import StoredWindows, open_windows
from vdd_ros.policies.window_source import WindowSource

ENCODER, NET = "encoder", "net"


class Sighted(nn.Module):
    """What is saved of a run with images: the weights of both under their own names."""

    def __init__(self, encoder: Encoder, net: nn.Module):
        super().__init__()
        self.encoder, self.net = encoder, net


class SeenExamples(NamedTuple):
    """Examples, and what each sees: numbers: (N, C) of its pictures; ages_s: (N, C)."""

    cond: Tensor
    chunks: Tensor
    numbers: Tensor
    ages_s: Tensor


def seen_examples(data: Examples, stored: StoredWindows) -> SeenExamples:
    """Of the windows that the examples are of."""
    pictures = stored.pictures
    assert pictures is not None
    return SeenExamples(
        *data, torch.from_numpy(pictures.numbers), torch.from_numpy(pictures.ages_s)
    )


def pixels_of(views: StoredPictures, numbers: Tensor) -> list[Tensor]:
    """(B, C) -> of each image (B, height, width, 3) uint8."""
    columns = numbers.numpy().T
    return [placed(torch.from_numpy(views.pixels(image, one))) for image, one in enumerate(columns)]


def keep_pictures(path: Path, contract: Contract, source: WindowSource) -> None:
    """Write the pictures of a training into its run's folder, unless they are there."""
    if distributed.is_first() and not path.exists():
        store_pictures(path, contract, source)
    distributed.wait()


def settings_of(config: EncoderConfig, contract: Contract) -> dict:
    """What a run says of its encoder."""
    return {
        "encoder": asdict(config),
        "images": images_interface(contract.images, contract.cameras),
    }


def encoder_config(run: Run) -> EncoderConfig | None:
    """Of a run, None of one without images; raises UserError where it is damaged."""
    raw = run.configs.get("encoder")
    if bool(run.contract.images) != (raw is not None):
        raise UserError("run.json tells of images and of no encoder, or the reverse; train anew")
    try:
        return None if raw is None else EncoderConfig.from_dict(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the encoder in run.json is damaged ({error}); train anew") from None


def part_of(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of the encoder or of the net of a Sighted."""
    begin = f"{part}."
    return {
        name.removeprefix(begin): tensor
        for name, tensor in weights.items()
        if name.startswith(begin)
    }


def both_of(encoder: Encoder, net: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a Sighted, out of its parts."""
    parts = {ENCODER: encoder.state_dict(), NET: net}
    return {f"{part}.{name}": one for part, found in parts.items() for name, one in found.items()}


def features_in(folder: Path, encoder: Encoder) -> Tensor:
    """(N, C * image_dim) of the windows that the run in a folder was trained on, encoded once and
    kept there: whatever is learned from them afterwards costs what it costs without images."""
    stored = open_windows(folder, held_out=False)
    pictures = stored.pictures
    if pictures is None:
        raise UserError(f"{folder} keeps no pictures of what it was trained on; train anew")
    key = fingerprint({"windows": len(stored)}, *encoder.state_dict().values())
    path = folder / f"features-{key}.safetensors"
    if distributed.is_first() and not path.exists():
        save_tensors(path, {"features": encoder.of(pictures)})
    distributed.wait()
    return load_tensors(path)["features"]


def with_features(data: Examples, features: Tensor) -> Examples:
    """Examples whose cond ends with what an encoder makes of their pictures, in memory."""
    return Examples(torch.cat([data.cond[:], features], dim=1), cast(Tensor, data.chunks))


def require_numbers_alone(encoder: Encoder | None, visited: np.ndarray | None) -> None:
    """Raise UserError for observations without the pictures that belong to them."""
    if encoder is not None and visited is not None:
        raise UserError(
            "visited observations are numbers alone, and this teacher sees images: leave out "
            "visited"
        )
