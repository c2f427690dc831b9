"""What the cameras of a simulated task see, out of a recording: cameras_stack.png beside this file.

    vdd record --task stack_1 --contract config/panda_stack_1_images.yaml --out demos \
        --episodes 1 --one-process
    python docs/pictures/cameras.py demos

A row for each camera, six moments from the first to the last; below, the first picture of the first
camera as training sees it, six times.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vdd_ros.episode import EpisodeStore
from vdd_ros.policies.augment import AugmentConfig, augmented

OUT = Path(__file__).parent / "cameras_stack.png"
MOMENTS, BORDER, LARGER = 6, 2, 2


def framed(pixels: np.ndarray, size: int) -> np.ndarray:
    """(h, w, 3) in the middle of a white square."""
    found = np.full((size, size, 3), 255, np.uint8)
    height, width = pixels.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    found[top : top + height, left : left + width] = pixels
    return found


def main(folder: Path) -> None:
    """Of the first episode in a folder."""
    store = EpisodeStore(folder)
    episode = store.load(store.list()[0])
    rows = []
    for name in episode.contract.cameras:
        pictures = episode.images(name)
        numbers = np.linspace(0, len(pictures) - 1, MOMENTS).astype(int)
        rows.append([pictures[number].pixels for number in numbers.tolist()])
    first = torch.tensor(rows[0][0]).expand(MOMENTS, -1, -1, -1)
    rows.append(list(augmented(first, AugmentConfig(), torch.Generator().manual_seed(0)).numpy()))
    size = max(rows[0][0].shape) + 2 * BORDER
    whole = np.concatenate([np.concatenate([framed(p, size) for p in row], 1) for row in rows])
    height, width = whole.shape[:2]
    larger = (LARGER * width, LARGER * height)
    Image.fromarray(whole).resize(larger, Image.Resampling.NEAREST).save(OUT, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
