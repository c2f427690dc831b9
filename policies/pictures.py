"""Pictures: what windows see of cameras, as uint8 and decoded where it is needed.

A window keeps numbers: which picture of each image it sees, and how old that is. Pixels come from a
recording (`EpisodeViews`, one picture after another) or from a run's folder
(`stored_pictures.StoredPictures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vdd_ros.camera_images import CameraImages
from vdd_ros.contract import Contract
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.image_fit import fitted


class Views(Protocol):
    """Pictures by image, in the order of the contract's, and number."""

    def pixels(self, image: int, numbers: np.ndarray) -> np.ndarray:
        """(n,) -> (n, height, width, 3) uint8."""
        ...


class EpisodeViews:
    """Of one recording, as a policy of a contract sees it; nothing decoded is kept."""

    def __init__(self, contract: Contract, episode: str, cameras: Mapping[str, CameraImages]):
        self._images, self._episode, self._cameras = contract.images, episode, cameras

    @classmethod
    def of(cls, contract: Contract, episode: Episode) -> EpisodeViews:
        """Raises UserError where an episode has no pictures of a camera."""
        return cls(contract, episode.name, cameras_of(contract, episode))

    def pixels(self, image: int, numbers: np.ndarray) -> np.ndarray:
        """Raises UserError for a picture that cannot be used."""
        one = self._images[image]
        pictures = self._cameras[one.camera]
        distinct, place = np.unique(numbers, return_inverse=True)
        found = np.empty((len(distinct), *one.shape), np.uint8)
        for row, number in enumerate(distinct):
            try:
                found[row] = fitted(pictures.picture(int(number)).pixels, pictures.camera, one)
            except UserError as error:
                raise UserError(
                    f"picture {number} of {one.camera} in episode {self._episode} cannot be used "
                    f"({error}): trim the episode (`vdd dataset trim`) or delete it"
                ) from None
        return found[place]


def cameras_of(contract: Contract, episode: Episode) -> dict[str, CameraImages]:
    """The recorded pictures that a contract's images are made of; raises UserError where there are
    none of a camera."""
    found = {name: episode.images(name) for name in contract.observed_cameras}
    if empty := sorted(name for name, pictures in found.items() if not len(pictures)):
        raise UserError(
            f"episode {episode.name} has no pictures of {', '.join(empty)}, which {contract.name} "
            "observes: delete it, or train with a contract without these images"
        )
    return found


@dataclass(frozen=True)
class Pictures:
    """What N windows see of C images.

    views: where pixels come from; of: (N,) which of those; numbers: (N, C) of the picture; ages_s:
    (N, C) float32, how long before the tick it was taken.
    """

    views: tuple[Views, ...]
    of: np.ndarray
    numbers: np.ndarray
    ages_s: np.ndarray

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, rows: slice | np.ndarray) -> Pictures:
        return Pictures(self.views, self.of[rows], self.numbers[rows], self.ages_s[rows])

    def pixels(self, image: int) -> np.ndarray:
        """(N, height, width, 3) uint8, read now."""
        found: np.ndarray | None = None
        for index in np.unique(self.of):
            rows = self.of == index
            some = self.views[index].pixels(image, self.numbers[rows, image])
            if found is None:
                found = np.empty((len(self), *some.shape[1:]), np.uint8)
            found[rows] = some
        if found is None:
            raise ValueError("there are no windows")
        return found

    @classmethod
    def joined(cls, parts: Sequence[Pictures]) -> Pictures:
        """One after the other."""
        views = tuple({id(one): one for part in parts for one in part.views}.values())
        places = {id(one): place for place, one in enumerate(views)}
        of = [np.array([places[id(one)] for one in part.views])[part.of] for part in parts]
        return cls(
            views,
            np.concatenate(of),
            np.concatenate([part.numbers for part in parts]),
            np.concatenate([part.ages_s for part in parts]),
        )
