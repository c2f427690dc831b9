"""First sight of a foreign dataset, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vdd_ros.datasets.bags import STORAGE
from vdd_ros.datasets.look_hdf5 import look_at_hdf5
from vdd_ros.datasets.look_lerobot import look_at_lerobot
from vdd_ros.datasets.look_rosbag2 import look_at_rosbag2
from vdd_ros.datasets.sight import Sight
from vdd_ros.errors import UserError

HDF5 = (".hdf5", ".h5", ".hdf")


def look_at(path: Path, joints: Sequence[str] = ()) -> Sight:
    """What is in a dataset; joints: of a contract, whose names its columns may have. Raises
    UserError where no reader knows it."""
    if not path.exists():
        raise UserError(f"there is nothing at {path}: name a dataset")
    if (path / "meta" / "info.json").exists():
        return look_at_lerobot(path, joints)
    if path.suffix in HDF5:
        return look_at_hdf5(path, joints)
    if path.suffix in STORAGE or path.is_dir():
        return look_at_rosbag2(path, joints)
    raise UserError(
        f"{path} is none of what is read: a LeRobot folder (with meta/info.json), an HDF5 file "
        f"({', '.join(HDF5)}), a rosbag2 folder or its {' or '.join(STORAGE)} file"
    )
