"""Contracts with images, and episodes of them: cameras that look at a photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pictures import camera, contract_with, end_of, recorded
from PIL import Image

from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.episode import Episode, EpisodeStore

WIDTH, HEIGHT = 80, 60
CROP = {"left": 10, "top": 4, "width": 64, "height": 48}
IMAGES = [
    {"name": "front", "camera": "front", "crop": CROP, "width": 24, "height": 20, "delay_s": 0.03},
    {"name": "hand", "camera": "wrist", "width": 32, "height": 24},
]


def seeing(images: list[dict] | None = None, **cameras: dict) -> Contract:
    """Two cameras, raw and JPEG, and an image of each where no others are given."""
    sizes = {"width": WIDTH, "height": HEIGHT}
    both = {"front": camera("front", **sizes), "wrist": camera("wrist", "jpeg", **sizes)}
    raw = contract_with({**both, **cameras}).to_dict()
    raw["images"] = IMAGES if images is None else images
    return Contract.from_dict(raw)


def photograph(one: Camera, time_ns: int) -> np.ndarray:
    """(height, width, 3) uint8: a part of a photograph, another one at each time."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    whole = np.asarray(Image.open(path).convert("RGB"))
    rows, columns = whole.shape[0] - one.height, whole.shape[1] - one.width
    place = time_ns // 1_000_000
    top, left = 5 * place % rows, (3 * place + len(one.frame) * 11) % columns
    return whole[top : top + one.height, left : left + one.width]


def seen_episodes(contract: Contract, folder: Path, *seconds: float) -> list[Episode]:
    """Demonstrations with pictures, so long each, as they are read again."""
    for one in seconds:
        record_seen(contract, folder, one)
    store = EpisodeStore(folder, contract)
    return [store.load(name) for name in store.list()]


def record_seen(contract: Contract, folder: Path, seconds: float = 0.6, **more) -> str:
    """Save one demonstration with pictures; returns its name."""
    recorder = recorded(contract, folder, seconds, picture=photograph, **more)
    recorder.save(end_of(seconds))
    return recorder.name
