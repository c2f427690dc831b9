"""The committed recordings of people as arrays to be changed, and written again in their format."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pyarrow as arrow
from pyarrow import parquet

from vdd_ros.contract import Contract
from vdd_ros.datasets.source import Source

DATA = Path(__file__).parent / "data"
CONFIG = Path(__file__).parent.parent / "config"
FEATURES = ("observation.state", "action")
NUMBERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def g1() -> tuple[Source, Contract]:
    """The declaration of the public dataset, for the two episodes that are committed."""
    source = Source.from_yaml(CONFIG / "sources" / "g1_bottle.yaml")
    return source.model_copy(update={"episodes": 2}), Contract.from_yaml(CONFIG / "g1_bottle.yaml")


def lift() -> tuple[Source, Contract]:
    """The same for robosuite's Lift."""
    source = Source.from_yaml(CONFIG / "sources" / "robosuite_lift.yaml")
    contract = Contract.from_yaml(CONFIG / "panda_gripper.yaml")
    origin = source.origin.model_copy(update={"sha256": None})  # that of the whole file
    return source.model_copy(update={"episodes": 2, "origin": origin}), contract


@dataclass
class LeRobotFiles:
    """A LeRobot v2.1 dataset in memory: what each of its files says."""

    info: dict
    rows: list[dict]
    statistics: list[dict] | None
    tables: list[dict[str, np.ndarray]]
    written: list[Path] = field(default_factory=list)

    @classmethod
    def committed(cls) -> LeRobotFiles:
        meta = DATA / "g1_bottle" / "meta"
        files = sorted((DATA / "g1_bottle").glob("data/*/*.parquet"))
        return cls(
            json.loads((meta / "info.json").read_text()),
            _lines(meta / "episodes.jsonl"),
            _lines(meta / "episodes_stats.jsonl"),
            [_table(path) for path in files],
        )

    def copy(self) -> LeRobotFiles:
        return copy.deepcopy(self)

    def names(self) -> list[str]:
        return self.info["features"]["action"]["names"][0]

    def count_anew(self) -> None:
        """Metadata that fits the tables: lengths, totals, frame numbers and statistics."""
        self.rows = [
            {"episode_index": i, "tasks": ["pick"], "length": len(table["timestamp"])}
            for i, table in enumerate(self.tables)
        ]
        self.info["total_episodes"] = len(self.rows)
        self.info["total_frames"] = sum(row["length"] for row in self.rows)
        for i, table in enumerate(self.tables):
            table["episode_index"] = np.full(self.rows[i]["length"], i)
            table["frame_index"] = np.arange(self.rows[i]["length"])
        self.statistics = [
            {
                "episode_index": i,
                "stats": {
                    name: {
                        "min": table[name].min(0).tolist(),
                        "max": table[name].max(0).tolist(),
                    }
                    for name in FEATURES
                },
            }
            for i, table in enumerate(self.tables)
        ]

    def write(self, folder: Path, compression: str = "snappy") -> Path:
        (folder / "meta").mkdir(parents=True)
        (folder / "meta" / "info.json").write_text(json.dumps(self.info))
        _write_lines(folder / "meta" / "episodes.jsonl", self.rows)
        if self.statistics is not None:
            _write_lines(folder / "meta" / "episodes_stats.jsonl", self.statistics)
        for i, table in enumerate(self.tables):
            path = folder / self.info["data_path"].format(episode_chunk=0, episode_index=i)
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = {
                name: arrow.array(list(values)) if values.ndim > 1 else arrow.array(values)
                for name, values in table.items()
            }
            parquet.write_table(arrow.table(columns), path, compression=compression)
            self.written.append(path)
        return folder


@dataclass
class RobosuiteFile:
    """A file of robosuite demonstrations in memory."""

    attributes: dict
    demos: dict[str, dict[str, np.ndarray]]

    @classmethod
    def committed(cls) -> RobosuiteFile:
        with h5py.File(DATA / "robosuite_human" / "lift.hdf5") as file:
            demos = {
                name: {part: file["data"][name][part][()] for part in ("states", "actions")}
                for name in file["data"]
            }
            return cls(dict(file["data"].attrs), demos)

    def copy(self) -> RobosuiteFile:
        return copy.deepcopy(self)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "demo.hdf5"
        with h5py.File(path, "w") as file:
            data = file.create_group("data")
            for key, value in self.attributes.items():
                data.attrs[key] = value
            for name, parts in self.demos.items():
                group = data.create_group(name)
                for part, values in parts.items():
                    group.create_dataset(part, data=values)
        return path


def _table(path: Path) -> dict[str, np.ndarray]:
    table = parquet.read_table(path)
    return {
        name: np.array(table[name].to_pylist(), dtype=np.float32 if name in FEATURES else None)
        for name in (*FEATURES, *NUMBERS)
    }


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
