"""Opens rosbag2 recordings of others, MCAP and SQLite, through rosbags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vdd_ros.bag import deserialized
from vdd_ros.cdr import TRAJECTORY
from vdd_ros.datasets.bag_guard import require_bag_bounded
from vdd_ros.errors import UserError

STORAGE = (".mcap", ".db3")
ARRAY = "std_msgs/msg/Float64MultiArray"
JOINT_STATE = "sensor_msgs/msg/JointState"
TYPES = (JOINT_STATE, TRAJECTORY, ARRAY)


def is_bags(path: Path) -> bool:
    """Whether there is a bag at this path, or a folder of bags."""
    try:
        return bool(bags_in(path))
    except UserError:
        return False


def bags_in(path: Path) -> list[Path]:
    """The bags of a folder, or the one that it is, by name."""
    if path.suffix in STORAGE or (path / "metadata.yaml").exists():
        return [path]
    if not path.is_dir():
        raise UserError(f"no bag at {path}: name a rosbag2 folder, or a folder of those")
    found = [one for one in path.iterdir() if not one.name.startswith(".")]
    bags = [one for one in found if one.suffix in STORAGE or (one / "metadata.yaml").exists()]
    if not bags:
        raise UserError(
            f"{path} holds no rosbag2: name a folder with metadata.yaml, an .mcap or .db3 file, or "
            f"a folder of those"
        )
    return sorted(bags)


@contextmanager
def opened_bag(path: Path) -> Iterator[Any]:
    """A reader of rosbags; what it and its parts say of a damaged bag becomes UserError."""
    import struct

    import apsw
    from rosbags.rosbag2 import Reader, ReaderError

    require_bag_bounded(path)
    try:
        with Reader(path) as reader:
            yield reader
    except (ReaderError, apsw.Error, OSError, ValueError, LookupError, struct.error) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} is no readable rosbag2 ({told:.200}); restore it") from None


def decoded(where: str, at: int, kind: str, data: bytes) -> Any:
    """One message; raises UserError where its bytes are not of its type."""
    import struct

    from rosbags.serde import SerdeError

    try:
        return deserialized(data, kind)
    except (SerdeError, struct.error, ValueError, LookupError, UnicodeDecodeError) as error:
        raise UserError(
            f"{where}: message {at} is no readable {kind} ({error}); restore the bag"
        ) from None
