"""OwnRecorder: writes episodes of an exported folder anew, with what was said of them, and pictures
that came along."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.camera_images import CAMERAS
from vdd_ros.camera_writer import CamerasClosed
from vdd_ros.contract import Contract
from vdd_ros.datasets.description import EpisodeFacts
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.durable import link_or_copy
from vdd_ros.episode_pictures import EpisodePictures
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary, Manifest


class OwnRecorder(DemoRecorder):
    """facts: of the episode in hand, where it is one of this project's own; None: of others."""

    facts: EpisodeFacts | None = None

    def take_pictures(self, folder: Path, facts: EpisodeFacts) -> None:
        """The recording of its cameras lies in the bag `folder` and comes along as it is; raises
        UserError where it is not the one that was exported. To be called while it records."""
        part = self._files.part
        self._files.pictures = CopiedPictures(self.contract, part, self.name, folder, facts)

    def _manifest(self, files: dict[str, FileSummary]) -> Manifest:
        manifest = super()._manifest(files)
        return manifest if self.facts is None else self.facts.told_in(manifest)


class CopiedPictures(EpisodePictures):
    """Of a recording that was made long ago, in files that keep their names."""

    def __init__(
        self, contract: Contract, part: Path, name: str, folder: Path, facts: EpisodeFacts
    ):
        self._facts = facts
        super().__init__(_Copied(folder, facts), contract, part, name)

    @property
    def _bag(self) -> Path:
        return self._part / CAMERAS / self._facts.picture_bag.name


class _Copied:
    """A `CameraRecorder` to which nothing comes."""

    def __init__(self, folder: Path, facts: EpisodeFacts):
        self._folder, self._facts = folder, facts

    def start(self, part: Path, name: str) -> None:
        for file, saved in self._facts.pictures.items():
            path = self._folder / file
            try:
                found = FileSummary.of(path)
            except OSError as error:
                raise UserError(f"{path} is not readable ({error.strerror}); restore it") from None
            if found != saved:
                raise UserError(
                    f"{path} is not the file that was exported (its sha256 differs from the one in "
                    "the description): restore it, or export anew"
                )
            link_or_copy(path, part / file)

    def stop(self) -> CamerasClosed:
        losses = self._facts.losses
        lost = {name: one.lost for name, one in losses.items()}
        return CamerasClosed(lost, None, {name: one.missing for name, one in losses.items()})

    def summary(self) -> FileSummary | None:
        return self._facts.pictures[str(self._facts.picture_bag)]

    def abort(self) -> None:
        pass
