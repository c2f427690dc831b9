"""StoredWindows: the windows that a run was trained on, and those held out, in the run's folder.

Runs that kept every chunk whole are read as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vdd_ros.policies.pictures import Pictures
from vdd_ros.policies.stored_pictures import FILE_NAME as PICTURES
from vdd_ros.policies.stored_pictures import StoredPictures, as_stored, picture_numbers
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter
from vdd_ros.policies.window_source import WindowSource
from vdd_ros.policies.windows import EpisodeWindows, Windows, episode_windows_of

FILE_NAME = "windows.safetensors"
PLACES = ("place", "last", "real")


@dataclass(frozen=True)
class StoredWindows:
    """Rows `begin` to `end` of a file; of: (N,) episode of every row in it; views: the pictures
    that they see, if any. Numbers are float32."""

    file: TensorFile
    windows: EpisodeWindows
    of: np.ndarray
    horizon: int
    begin: int
    end: int
    views: StoredPictures | None = None

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def episode(self) -> np.ndarray:
        """(N,) index of the episode that each is of; episodes are in order."""
        return self.of[self.begin : self.end]

    def at(self, rows: np.ndarray | slice) -> Windows:
        """Some of them, in memory."""
        if isinstance(rows, slice):
            first, last, step = rows.indices(len(self))
            rows = slice(first + self.begin, last + self.begin, step)
        else:
            rows = rows + self.begin
        found = self.windows.windows(rows, self.horizon, self.of, self.views)
        copied = {name: np.array(part) for name, part in found.arrays.items()}
        self.file.forget()
        return Windows(**copied, pictures=found.pictures)

    @property
    def pictures(self) -> Pictures | None:
        """What all of them see, None where they see none; pixels are read when asked for."""
        return self.windows.pictures(slice(self.begin, self.end), self.views)

    def all(self) -> Windows:
        """All of them, in memory."""
        return self.at(slice(None))

    def at_most(self, count: int) -> Windows:
        """All, or so many of them, evenly spaced."""
        if len(self) <= count:
            return self.all()
        return self.at(np.arange(count) * len(self) // count)

    def firsts(self) -> np.ndarray:
        """Where each episode begins."""
        return np.flatnonzero(np.diff(self.episode, prepend=-1))


def open_windows(
    folder: Path, held_out: bool, name: str = FILE_NAME, pictures: str = PICTURES
) -> StoredWindows:
    """Of the run in a folder; name, pictures: of the files, which have others while it is trained.
    Raises UserError where they are missing or damaged."""
    file = TensorFile(folder / name)
    tensors = file.tensors
    is_held_out = tensors["is_held_out"]
    trained_on = int(np.count_nonzero(~is_held_out))  # those held out are last
    if "chunks" in tensors:
        windows, horizon = _of_whole_chunks(tensors), tensors["chunks"].shape[1]
    else:
        windows = episode_windows_of(tensors)
        horizon = int(tensors["horizon"][0])
    views = StoredPictures(folder / pictures) if windows.numbers is not None else None
    stored = StoredWindows(file, windows, tensors["episode"], horizon, 0, trained_on, views)
    return replace(stored, begin=trained_on, end=len(is_held_out)) if held_out else stored


def _of_whole_chunks(tensors: dict[str, np.ndarray]) -> EpisodeWindows:
    chunks = tensors["chunks"]
    count, horizon, size = chunks.shape
    place = np.arange(count) * horizon
    real = horizon - tensors["is_pad"].sum(1)
    actions = chunks.reshape(-1, size)
    last = place + horizon - 1
    return EpisodeWindows(tensors["observations"], actions, place, last, real, np.array([1]))


def store_windows(path: Path, source: WindowSource, trained_on: int) -> None:
    """Write the windows of all episodes, those before the episode `trained_on` first; one episode
    is in memory at a time. Pictures are numbered as `store_pictures` writes them."""
    first, count = source.read(source.chosen[0]), len(source)
    rows = sum(source.facts[index].actions for index in source.chosen)
    shapes = {
        **{name: Shape(np.int64, (count,)) for name in PLACES},
        "episode": Shape(np.int64, (count,)),
        "stride": Shape(np.int64, (1,)),
        "horizon": Shape(np.int64, (1,)),
        "observations": Shape(np.float32, (count, *first.observations.shape[1:])),
        "actions": Shape(np.float32, (rows, first.actions.shape[1])),
        "is_held_out": Shape(np.bool_, (count,)),
    }
    images = 0 if first.numbers is None else first.numbers.shape[1]
    if images:
        shapes["numbers"] = Shape(np.int64, (count, images))
        shapes["ages_s"] = Shape(np.float32, (count, images))
    with TensorWriter(path, shapes) as writer:
        writer.write("stride", first.stride)
        writer.write("horizon", np.array([source.horizon]))
        before, shown = 0, np.zeros(images, dtype=np.int64)
        for index in source.chosen:
            one = source.read(index)
            for name in ("observations", "actions", "real"):
                writer.write(name, getattr(one, name))
            for name in ("place", "last"):
                writer.write(name, getattr(one, name) + before)
            writer.write("episode", np.full(len(one.place), index))
            writer.write("is_held_out", np.full(len(one.place), index >= trained_on))
            before += len(one.actions)
            if one.ages_s is not None:
                writer.write("numbers", as_stored(one, shown))
                writer.write("ages_s", one.ages_s)
                shown += [len(numbers) for numbers in picture_numbers(one)]
