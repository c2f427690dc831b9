"""The reader of each format: (path, source, its layout) -> recordings, or UserError, at the latest
when a recording is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from vdd_ros.datasets.lerobot_v21 import read_lerobot_v21
from vdd_ros.datasets.lerobot_v30 import read_lerobot_v30
from vdd_ros.datasets.recording import Recordings
from vdd_ros.datasets.robomimic_hdf5 import read_robomimic
from vdd_ros.datasets.robosuite_hdf5 import read_robosuite
from vdd_ros.datasets.rosbag2 import read_rosbag2
from vdd_ros.datasets.source import Source


class Reader(Protocol):
    def __call__(self, path: Path, source: Source, layout: Any, /) -> Recordings: ...


READERS: dict[str, Reader] = {
    "lerobot_v2.1": read_lerobot_v21,
    "lerobot_v3.0": read_lerobot_v30,
    "robosuite_hdf5": read_robosuite,
    "robomimic_hdf5": read_robomimic,
    "rosbag2": read_rosbag2,
}
