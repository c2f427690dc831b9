"""Frames: an episode as formats have it that know no messages, one row per step of the policy.

The first frame is at the stamp of the first command, the next a policy period later, until the last
command. A frame shows what was known then: of each stream the newest sample that was stamped and
received at or before it, by the code that serves a policy (`replay.py`), and of cameras the newest
picture likewise. Frames before every stream and every such camera had one are left out. Its command
is that of its time, linear between two commands, as in the windows that a policy is trained on. An
observation's `delay_s` is not applied: it is the policy's, and the contract carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.datasets.frame_pictures import newest_numbers
from vdd_ros.episode import Episode
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest
from vdd_ros.replay import replay_windows

FIELDS_OF_OBJECTS = ("position", "heading")


@dataclass(frozen=True)
class Frames:
    """N frames in the contract's order and units.

    ticks_ns: (N,) ROS clock; state, command: (N, Da); velocity: (N, Da) or None where it was not
    always sent; objects: stream of poses -> field -> (N, numbers); samples: stream -> how many
    messages these frames were taken from; pictures: camera -> (N,) number of the one that is shown.
    """

    manifest: Manifest
    ticks_ns: np.ndarray
    state: np.ndarray
    command: np.ndarray
    velocity: np.ndarray | None
    objects: dict[str, dict[str, np.ndarray]]
    samples: dict[str, int]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ticks_ns)

    @property
    def success(self) -> bool | None:
        """What the episode was labelled; None where nobody said."""
        label = self.manifest.meta.get("success")
        return label if isinstance(label, bool) else None


def frames_of(episode: Episode, cameras: Sequence[str] = ()) -> Frames:
    """Resample an episode at its contract's policy rate, with pictures of some cameras; raises
    UserError where it has no frame."""
    contract, streams = episode.contract, episode.streams
    command = streams[contract.action.stream]
    has_velocity = bool(np.isfinite(streams["joint_state"].fields["velocity"]).all())
    shown = _everything(contract, episode, has_velocity)
    ticks_ns = np.zeros(0, dtype=np.int64)
    if len(command):
        period_ns = contract.policy_period_ns
        ticks_ns = np.arange(command.stamps_ns.min(), command.stamps_ns.max() + 1, period_ns)
    windows = replay_windows(shown, streams, ticks_ns, 1)
    kept = np.array([window is not None for window in windows], dtype=bool)
    pictures = {name: newest_numbers(episode.images(name), ticks_ns) for name in cameras}
    for numbers in pictures.values():
        kept &= numbers >= 0
    if not kept.any():
        raise UserError(
            f"episode {episode.name} has no frame: its streams were never all there between the "
            f"first and the last command; delete it, or export to rosbag2"
        )
    ticks_ns = ticks_ns[kept]
    chosen = (window for window, is_kept in zip(windows, kept, strict=True) if is_kept)
    rows = np.array([window.values[0] for window in chosen if window is not None])
    parts = _split(shown, rows)
    order = np.argsort(command.stamps_ns, kind="stable")
    begin = int(ticks_ns[0])  # differences are exact as floats, times of day are not
    stamps = (command.stamps_ns[order] - begin).astype(np.float64)
    commands = [
        np.interp((ticks_ns - begin).astype(np.float64), stamps, column)
        for column in command.fields["position"][order].T
    ]
    return Frames(
        manifest=episode.manifest,
        ticks_ns=ticks_ns,
        state=parts.pop(("joint_state", "position")),
        command=np.stack(commands, axis=-1),
        velocity=parts.pop(("joint_state", "velocity"), None),
        objects={
            stream: {field: parts[stream, field] for field in FIELDS_OF_OBJECTS}
            for stream in dict.fromkeys(stream for stream, _ in parts)
        },
        samples={name: len(streams[name]) for name in streams},
        pictures={name: numbers[kept] for name, numbers in pictures.items()},
    )


def _everything(contract: Contract, episode: Episode, has_velocity: bool) -> Contract:
    """The contract with all that was recorded of the robot and of objects for its observation."""
    shown = [("joint_state", "position"), *([("joint_state", "velocity")] if has_velocity else [])]
    for name, stream in contract.streams.items():
        if stream.is_of_objects and len(episode.streams[name]):
            shown += [(name, field) for field in FIELDS_OF_OBJECTS]
    raw = contract.to_dict()
    raw.pop("images", None)  # pictures are told whole, by their camera
    raw["observation"] = [
        {"name": f"{stream}_{field}", "stream": stream, "field": field} for stream, field in shown
    ]
    return Contract.from_dict(raw, f"contract {contract.name}")


def _split(contract: Contract, rows: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """(N, Do) -> the parts of an observation, by stream and field."""
    sizes = [contract.size_of(part.stream, part.field) for part in contract.observation]
    columns = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    return {
        (part.stream, part.field): column
        for part, column in zip(contract.observation, columns, strict=True)
    }
