"""StoredWindows: the windows that a run was trained on, and those held out, in the run's folder.

Runs that kept every chunk whole are read as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter
from vdd_ros.policies.window_source import WindowSource
from vdd_ros.policies.windows import EpisodeWindows, Windows

FILE_NAME = "windows.safetensors"
PLACES = ("place", "last", "real")


@dataclass(frozen=True)
class StoredWindows:
    """Rows `begin` to `end` of a file; episode: (N,) of every row in it. Numbers are float32."""

    file: TensorFile
    windows: EpisodeWindows
    of: np.ndarray
    horizon: int
    begin: int
    end: int

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
        found = self.windows.windows(rows, self.horizon, self.of)
        self.file.forget()
        return Windows(*(np.array(part) for part in found))

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


def open_windows(folder: Path, held_out: bool) -> StoredWindows:
    """Of the run in a folder; raises UserError where they are missing or damaged."""
    file = TensorFile(folder / FILE_NAME)
    tensors = file.tensors
    is_held_out = tensors["is_held_out"]
    trained_on = int(np.count_nonzero(~is_held_out))  # those held out are last
    if "chunks" in tensors:
        windows, horizon = _of_whole_chunks(tensors), tensors["chunks"].shape[1]
    else:
        windows = EpisodeWindows(*(tensors[name] for name in EpisodeWindows._fields))
        horizon = int(tensors["horizon"][0])
    stored = StoredWindows(file, windows, tensors["episode"], horizon, 0, trained_on)
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
    is in memory at a time."""
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
    with TensorWriter(path, shapes) as writer:
        writer.write("stride", first.stride)
        writer.write("horizon", np.array([source.horizon]))
        before = 0
        for index in source.chosen:
            one = source.read(index)
            for name in ("observations", "actions", "real"):
                writer.write(name, getattr(one, name))
            for name in ("place", "last"):
                writer.write(name, getattr(one, name) + before)
            writer.write("episode", np.full(len(one.place), index))
            writer.write("is_held_out", np.full(len(one.place), index >= trained_on))
            before += len(one.actions)
