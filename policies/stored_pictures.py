"""StoredPictures: the pictures that a run's windows see, fitted once, in the run's folder.

One file of uint8, an image a tensor. A batch is read from it at random; memory is that of a batch,
as the page cache is the system's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter
from vdd_ros.policies.window_source import WindowSource
from vdd_ros.policies.windows import EpisodeWindows

FILE_NAME = "pictures.safetensors"
AT_ONCE = 64  # pictures decoded before they are written


class StoredPictures:
    """Raises UserError when the file is missing or damaged."""

    def __init__(self, path: Path):
        self._file = TensorFile(path)
        self._images = list(self._file.tensors.values())

    def pixels(self, image: int, numbers: np.ndarray) -> np.ndarray:
        """(n,) -> (n, height, width, 3) uint8."""
        found = self._images[image][numbers]
        self._file.forget()
        return found


def picture_numbers(windows: EpisodeWindows) -> list[np.ndarray]:
    """Of each image, which pictures some window sees, rising."""
    assert windows.numbers is not None
    return [np.unique(windows.numbers[:, image]) for image in range(windows.numbers.shape[1])]


def store_pictures(path: Path, contract: Contract, source: WindowSource) -> None:
    """Write what the windows of all episodes see; a few pictures are in memory at a time."""
    counts = np.zeros(len(contract.images), dtype=np.int64)
    for index in source.chosen:
        counts += [len(numbers) for numbers in picture_numbers(source.read(index))]
    shapes = {
        image.name: Shape(np.uint8, (int(count), *image.shape))
        for image, count in zip(contract.images, counts, strict=True)
    }
    with TensorWriter(path, shapes) as writer:
        for index in source.chosen:
            views = source.views(index)
            assert views is not None
            for image, numbers in enumerate(picture_numbers(source.read(index))):
                for begin in range(0, len(numbers), AT_ONCE):
                    some = numbers[begin : begin + AT_ONCE]
                    writer.write(contract.images[image].name, views.pixels(image, some))


def as_stored(windows: EpisodeWindows, before: np.ndarray) -> np.ndarray:
    """(N, C) numbers of an episode's pictures in the file, given how many of each image come before
    it."""
    assert windows.numbers is not None
    places = [
        np.searchsorted(known, windows.numbers[:, image]) + before[image]
        for image, known in enumerate(picture_numbers(windows))
    ]
    return np.stack(places, axis=1)
