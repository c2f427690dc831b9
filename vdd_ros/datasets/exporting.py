"""Episodes become a dataset in a foreign format: whole in a new folder, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from vdd_ros.contract import Contract
from vdd_ros.datasets.description import Description, EpisodeFacts
from vdd_ros.datasets.formats import Format
from vdd_ros.datasets.source import Channel, Origin, Source
from vdd_ros.datasets.taken import Taken, cameras_of_all, channels_of, lost_in_frames
from vdd_ros.datasets.video_files import Codec
from vdd_ros.datasets.write_lerobot import write_lerobot
from vdd_ros.datasets.write_robomimic import POSITION, write_robomimic
from vdd_ros.datasets.write_rosbag2 import write_rosbag2
from vdd_ros.durable import sync_folder
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import verdict_of
from vdd_ros.manifest import Manifest, Verdict, software_version

FORMATS = ("lerobot_v3", "robomimic", "rosbag2")
Report = Callable[[str, int, int], None]


class Settings(NamedTuple):
    """dtype: of LeRobot's numbers; file_mb: largest file of LeRobot's [MiB]; valid: share of
    episodes of robomimic's filter key `valid`, the last ones; allow_failed: whether episodes that
    are not fit to learn from may be among them; images: whether frames have pictures; video: codec
    of LeRobot's, None for files in the rows of the data."""

    dtype: str = "float32"
    file_mb: int = 100
    valid: float = 0.1
    allow_failed: bool = False
    images: bool = False
    video: Codec | None = None


class Written(NamedTuple):
    """format: how it is declared to be read again; rows: frames per episode (messages of a bag)."""

    format: Format
    channels: tuple[Channel, ...]
    recordings: list[str]
    rows: list[int]
    lost: list[str]


class Sound(NamedTuple):
    """Loads episodes of a folder and judges each anew; verdicts: of those loaded, by name."""

    store: EpisodeStore
    allow_failed: bool
    verdicts: dict[str, Verdict]

    def load(self, name: str) -> Episode:
        """Raises UserError where it is not fit to learn from and that was not allowed."""
        episode = self.store.load(name)
        self.require(name, verdict_of(episode))
        return episode

    def load_with_images(self, name: str) -> Episode:
        """The same, with pictures that are as they were saved."""
        self.store.check_images(name)
        return self.load(name)

    def require(self, name: str, verdict: Verdict) -> None:
        if verdict.level == "FAIL" and not self.allow_failed:
            raise UserError(
                f"episode {name} is not fit to learn from, {verdict}; delete it or cut out what is "
                f"sound (`vdd dataset delete`, `trim`), or say --allow-failed to export it with "
                f"this verdict"
            )
        self.verdicts[name] = verdict


class Exported(NamedTuple):
    description: Description
    rows: list[int]


def export(
    folder: Path,
    out: Path,
    kind: str,
    settings: Settings | None = None,
    report: Report = lambda what, done, count: None,
) -> Exported:
    """Export the episodes of `folder` to a new folder `out`, with a description beside them.

    Raises UserError where there is nothing to export, or something it cannot hold a dataset of.
    """
    store = EpisodeStore(folder)
    manifests = _manifests(store)
    contract = manifests[0].contract
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists already; name a folder that does not, or remove it")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out.parent} is no folder: make it first, or name another place")
    settings = settings or Settings()
    sound = Sound(store, settings.allow_failed, {})
    for manifest in manifests:  # before anything is read
        sound.require(manifest.name, manifest.verdict)
    try:
        with TemporaryDirectory(
            prefix=f".export-{out.name}-", dir=out.absolute().parent
        ) as scratch:
            part, waiting = Path(scratch) / "dataset", Path(scratch) / "frames"
            part.mkdir()
            waiting.mkdir()
            written = _write(part, waiting, sound, manifests, kind, settings, report)
            judged = [
                one.model_copy(update={"verdict": sound.verdicts[one.name]}) for one in manifests
            ]
            description = _described(written, judged, contract)
            description.write(part)
            _sync(part)
            part.rename(out)
        sync_folder(out.absolute().parent)
    except OSError as error:
        told = error.strerror or str(error).splitlines()[0]
        raise UserError(
            f"writing {out} failed ({told}), and nothing is kept: mend that and repeat it"
        ) from None
    return Exported(description, written.rows)


def _write(
    part: Path,
    waiting: Path,
    sound: Sound,
    manifests: list[Manifest],
    kind: str,
    settings: Settings,
    report: Report,
) -> Written:
    contract = manifests[0].contract

    def told(what: str) -> Callable[[int, int], None]:
        return lambda done, count: report(what, done, count)

    if kind == "rosbag2":
        bags, names = write_rosbag2(part, sound.store, contract, sound.load, told("writing"))
        rows = [sum(stream.count for stream in one.streams.values()) for one in manifests]
        return Written(bags, channels_of(contract), names, rows, [])
    cameras = cameras_of_all(manifests) if settings.images else ()
    load = sound.load_with_images if settings.images else sound.load
    taken = Taken.of(manifests, load, sound.store.folder, waiting, cameras, told("reading"))
    rows, lost = taken.lengths, lost_in_frames(taken)
    if kind == "robomimic":
        layout, names, more = write_robomimic(part, taken, settings.valid, told("writing"))
        channels = channels_of(contract, POSITION + "[{at}]", "actions[{at}]")
        return Written(layout, channels, names, rows, lost + more)
    table, names, more = write_lerobot(
        part, taken, settings.dtype, settings.file_mb, settings.video, told("writing")
    )
    return Written(table, channels_of(contract), names, rows, lost + more)


def _manifests(store: EpisodeStore) -> list[Manifest]:
    """Of every episode, which share a contract that is the same, as there may be thousands."""
    manifests: list[Manifest] = []
    for name in store.require_some():
        manifest = store.manifest(name)
        if manifests:
            first = manifests[0].contract
            first.require_same_recording(manifest.contract, f"episode {name}")
            if manifest.contract == first:
                manifest = manifest.model_copy(update={"contract": first})
        manifests.append(manifest)
    return manifests


def _described(written: Written, manifests: list[Manifest], contract: Contract) -> Description:
    others = sum(one.contract_hash != manifests[0].contract_hash for one in manifests)
    lost = list(written.lost)
    if others:
        lost.append(f"topics and limits of {others} contracts that differ in them from the first")
    licences = dict.fromkeys(one.provenance.licence for one in manifests if one.provenance.licence)
    is_bag = written.format.kind == "rosbag2"
    return Description(
        software=software_version(),
        source=Source(
            format_version=1,
            format=written.format,
            path=".",
            episodes=len(manifests),
            task=manifests[0].task,
            rate_hz=contract.streams[contract.action.stream].rate_hz
            if is_bag
            else contract.rates.policy_hz,
            origin=Origin(
                url="", version=f"export by {software_version()}", licence="; ".join(licences)
            ),
            channels=written.channels,
        ),
        contract=contract,
        episodes=tuple(
            EpisodeFacts.of(manifest, recording, has_pictures=is_bag)
            for manifest, recording in zip(manifests, written.recordings, strict=True)
        ),
        lost=tuple(lost),
    )


def _sync(folder: Path) -> None:
    """Bring every file and folder below to the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync_folder(path)  # fsync of a file open for reading brings its content as well
    sync_folder(folder)
