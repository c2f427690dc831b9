"""Episode: one demonstration as arrays in the contract's order, and the folder they live in.

`<folder>/<name>/` holds `<name>_0.mcap` and `metadata.yaml` (a rosbag2) and `manifest.json`; where
there are cameras, `cameras/` is a rosbag2 of their pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vdd_ros.bag import RawMessage, deserialized, header_stamp_ns, read_bag
from vdd_ros.camera_images import CAMERAS, CameraImages
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import NUMBERS_PER_OBJECT, Stream
from vdd_ros.episode_log import LOG, EpisodeLog, manifest_hash
from vdd_ros.episode_notes import corrected
from vdd_ros.errors import UserError
from vdd_ros.manifest import FILE_NAME, Manifest
from vdd_ros.poses import fields_of_poses, pose_array


@dataclass(frozen=True)
class StreamData:
    """The samples of one stream in the order they were received, N of them.

    stamps_ns, received_ns: (N,) int64, ROS clock; fields: `position` and, of joint states,
    `velocity`, each (N, Da) in the contract's joint order and units (NaN where it was not sent), of
    objects `position` (N, 3 * objects) and `heading` (N, 2 * objects), see `fields_of_poses`;
    incomplete: messages left out because they lack a joint or an object of the contract.
    """

    stamps_ns: np.ndarray
    received_ns: np.ndarray
    fields: dict[str, np.ndarray]
    incomplete: int = 0

    def __len__(self) -> int:
        return len(self.stamps_ns)


@dataclass(frozen=True)
class Episode:
    """One saved demonstration: what it says about itself, and its streams by contract name.

    folder: where it lies, None of one that is only in memory.
    """

    manifest: Manifest
    streams: dict[str, StreamData]
    folder: Path | None = None

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def contract(self) -> Contract:
        return self.manifest.contract

    def images(self, camera: str) -> CameraImages:
        """The pictures of one camera, read when they are asked for; raises UserError where there
        are none. The file is not compared with the manifest: `EpisodeStore.check_images`."""
        if self.folder is None or self.manifest.camera_file is None:
            raise UserError(
                f"episode {self.name} has no pictures: it was recorded without cameras; name "
                "another"
            )
        return CameraImages(self.folder / self.manifest.camera_file, self.contract, camera)


class EpisodeStore:
    """The episodes of one folder; with a contract, only those of its interface are loaded."""

    def __init__(self, folder: str | Path, contract: Contract | None = None):
        self.folder = Path(folder)
        self.contract = contract
        self._log: tuple[tuple[int, int] | None, EpisodeLog] | None = None
        if not self.folder.is_dir():
            raise UserError(f"no folder {self.folder}: name the folder that episodes were saved in")
        if (self.folder / FILE_NAME).exists():
            raise UserError(f"{self.folder} is an episode itself; name the folder it lies in")

    def list(self) -> tuple[str, ...]:
        """Names of all episodes, sorted; folders that begin with a dot are none."""
        return tuple(
            sorted(
                path.name
                for path in self.folder.iterdir()
                if path.is_dir() and not path.name.startswith(".")
            )
        )

    def require_some(self) -> tuple[str, ...]:
        """`list`; raises UserError where there is no episode."""
        names = self.list()
        if not names:
            raise UserError(f"there is no episode in {self.folder}: record or import some first")
        return names

    def manifest(self, name: str) -> Manifest:
        """What an episode says about itself, without reading the recording, with what the log says
        later of how it went; raises UserError."""
        if not (self.folder / name).is_dir():
            raise UserError(f"no episode {name!r} in {self.folder}: `vdd dataset check` lists them")
        manifest = Manifest.read(self.folder / name)
        if manifest.name != name:
            raise UserError(
                f"{self.folder / name / FILE_NAME} is that of {manifest.name!r}: give the folder "
                f"its name again, or restore the file"
            )
        if correction := self.log().correction_of(self.folder / name):
            meta = corrected(manifest.meta, correction)
            manifest = manifest.model_copy(update={"meta": meta})
        return manifest

    def log(self) -> EpisodeLog:
        """What `episodes.jsonl` says of this folder; read again when it has changed."""
        try:
            found = (self.folder / LOG).stat()
            state = (found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            state = None
        if self._log is None or self._log[0] != state:
            self._log = state, EpisodeLog.read(self.folder)
        return self._log[1]

    def require_as_saved(self, name: str) -> None:
        """Raise UserError unless an episode's manifest is the one that the folder's log knows."""
        folder = self.folder / name
        if self.log().kept.get(name) not in (None, manifest_hash(folder)):
            raise UserError(
                f"{folder / FILE_NAME} is not the one that was saved (its sha256 differs from that "
                f"in {LOG}); restore it or delete the episode"
            )

    def load(self, name: str) -> Episode:
        """Read one episode; raises UserError when it is damaged, foreign, or of another interface.

        Every file but those of cameras is first compared with the sha256 in the manifest, and the
        manifest with the one in the folder's log, where there is one; then what was read with what
        the manifest says.
        """
        manifest = self.manifest(name)
        folder = self.folder / name
        self.require_as_saved(name)
        manifest.check_files(folder, within="")
        if self.contract is not None:
            self.contract.require_same_recording(manifest.contract, f"episode {folder}")
        recordings = [file for file in manifest.files if file.endswith(".mcap") and "/" not in file]
        if len(recordings) != 1:
            raise UserError(
                f"{folder} names {len(recordings)} recordings, one is expected: restore it"
            )
        contents = read_bag(folder / recordings[0])
        if contents.damage:
            raise UserError(
                f"{folder / recordings[0]} is not readable ({contents.damage}): restore it, or see "
                "`vdd dataset check`"
            )
        if contents.contract != manifest.contract:
            raise UserError(
                f"{folder}: the contract in {FILE_NAME} is not the one in the recording; "
                f"restore the manifest"
            )
        streams = decode(manifest.contract, contents.messages)
        _require_as_told(manifest, streams, folder)
        return Episode(manifest, streams, folder)

    def check_images(self, name: str) -> None:
        """Raise UserError unless the pictures of an episode are there, byte for byte as they were
        saved, and as many as its manifest says."""
        manifest = self.manifest(name)
        manifest.check_files(self.folder / name, within=CAMERAS)
        if manifest.camera_file is None:
            return
        path = self.folder / name / manifest.camera_file
        for camera, summary in manifest.cameras.items():
            found = len(CameraImages(path, manifest.contract, camera))
            if found != summary.count:
                raise UserError(
                    f"{path} has {found} pictures of {camera}, its manifest says {summary.count}: "
                    "restore it or delete the episode"
                )


def _require_as_told(manifest: Manifest, streams: dict[str, StreamData], folder: Path) -> None:
    """Raise UserError where a manifest counts other messages than there are."""
    for name, data in streams.items():
        told = manifest.streams.get(name)
        found = f"{len(data)} messages of {name} and {data.incomplete} incomplete ones"
        if told is None or (told.count, told.incomplete) != (len(data), data.incomplete):
            said = "none" if told is None else f"{told.count} and {told.incomplete}"
            raise UserError(
                f"{folder}: the recording has {found}, {FILE_NAME} says {said}; restore it or "
                f"delete the episode"
            )


def decode(contract: Contract, messages: Sequence[RawMessage]) -> dict[str, StreamData]:
    """The samples of every stream of the contract, matched by joint name."""
    by_stream: dict[str, list[RawMessage]] = {name: [] for name in contract.streams}
    for message in messages:
        by_stream[message.stream].append(message)
    return {
        name: _decode_stream(contract, stream, by_stream[name])
        for name, stream in contract.streams.items()
    }


def _decode_stream(
    contract: Contract, stream: Stream, messages: Sequence[RawMessage]
) -> StreamData:
    from rosbags.serde import SerdeError

    reader = _READERS[stream.type](contract)
    kept, samples = [], []
    for message in messages:
        try:
            sample = reader.read(deserialized(message.data, stream.type))
        except SerdeError:
            sample = None
        if sample is not None:
            kept.append(message)
            samples.append(sample)
    received_ns = np.array([message.received_ns for message in kept], dtype=np.int64)
    stamps_ns = received_ns
    if stream.timeline == "header":
        stamps_ns = np.array([header_stamp_ns(message.data) for message in kept], dtype=np.int64)
    fields = {
        field: np.array([sample[index] for sample in samples], dtype=np.float64).reshape(
            len(kept), size
        )
        for index, (field, size) in enumerate(reader.sizes.items())
    }
    correction = contract.correction_of(stream)
    if correction is not None:
        fields = correction.fields(fields)
    return StreamData(stamps_ns, received_ns, fields, len(messages) - len(kept))


class _JointStates:
    """sensor_msgs/JointState -> (position, velocity), matched by name whatever their order."""

    def __init__(self, contract: Contract):
        self.joint_names = contract.joint_names
        self.sizes = {"position": contract.n_joints, "velocity": contract.n_joints}
        self._orders: dict[tuple[str, ...], np.ndarray | None] = {}
        self._absent = np.full(contract.n_joints, np.nan)

    def read(self, message) -> tuple[np.ndarray, np.ndarray] | None:
        return self._matched(message.name, message.position, message.velocity)

    def _matched(self, names, position, velocity) -> tuple[np.ndarray, np.ndarray] | None:
        order = self._order(tuple(names))
        if order is None or len(position) != len(names):
            return None
        has_velocity = len(velocity) == len(names)
        return position[order], velocity[order] if has_velocity else self._absent

    def _order(self, names: tuple[str, ...]) -> np.ndarray | None:
        if names not in self._orders:
            complete = all(names.count(joint) == 1 for joint in self.joint_names)
            self._orders[names] = (
                np.array([names.index(joint) for joint in self.joint_names]) if complete else None
            )
        return self._orders[names]


class _Trajectories(_JointStates):
    """trajectory_msgs/JointTrajectory -> (position, velocity) of the last point."""

    def read(self, message) -> tuple[np.ndarray, np.ndarray] | None:
        if not message.points:
            return None
        last = message.points[-1]
        return self._matched(message.joint_names, last.positions, last.velocities)


class _Arrays:
    """std_msgs/Float64MultiArray -> (position,); without names, it is in the contract's order."""

    def __init__(self, contract: Contract):
        self.sizes = {"position": contract.n_joints}

    def read(self, message) -> tuple[np.ndarray] | None:
        return (message.data,) if len(message.data) == self.sizes["position"] else None


class _Poses:
    """geometry_msgs/PoseArray -> (position, heading); without names, in the contract's order."""

    def __init__(self, contract: Contract):
        self._count = len(contract.objects)
        self.sizes = {
            "position": self._count * NUMBERS_PER_OBJECT["position"],
            "heading": self._count * NUMBERS_PER_OBJECT["heading"],
        }

    def read(self, message) -> tuple[np.ndarray, ...] | None:
        if len(message.poses) != self._count:
            return None
        fields = fields_of_poses(pose_array(message))
        return fields["position"], fields["heading"]


_READERS: dict[str, type[_JointStates | _Arrays | _Poses]] = {
    "sensor_msgs/msg/JointState": _JointStates,
    "std_msgs/msg/Float64MultiArray": _Arrays,
    "trajectory_msgs/msg/JointTrajectory": _Trajectories,
    "geometry_msgs/msg/PoseArray": _Poses,
}
