"""Datasets of LeRobot's format v3.0 that are damaged, or lack what others have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as arrow
import pytest
import yaml
from exported_data import episodes_in, lerobot_dataset, refused, taken
from foreign_data import g1
from pyarrow import parquet


@pytest.fixture(scope="module")
def lerobot(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lerobot")
    lerobot_dataset(folder)
    return folder


DATA_FILE, EPISODES_FILE = (
    "data/chunk-000/file-000.parquet",
    "meta/episodes/chunk-000/file-000.parquet",
)


def edit(path: Path, **columns: Callable | None) -> None:
    """Write a parquet file anew: of a column what the function makes of its list, None: without."""
    table = parquet.read_table(path)
    values = {name: table[name].to_pylist() for name in table.column_names}
    for name, change in columns.items():
        key = name.replace("__", "/")
        if change is None:
            del values[key]
        else:
            values[key] = change(values[key])
    parquet.write_table(arrow.table(values), path)


def info(folder: Path, **changes: object) -> None:
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def at(place: int, value: object) -> Callable:
    return lambda rows: [*rows[:place], value, *rows[place + 1 :]]


def half_of(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


STATE = "observation.state"
LEROBOT = {
    "version 2.0": (lambda d: info(d, codebase_version="v2.0"), r"codebase_version is 'v2.0'"),
    "version 2.1 inside": (
        lambda d: [path.unlink() for path in d.glob("meta/episodes/*/*")],
        r"no parquet file below .*meta/episodes",
    ),
    "another fps": (lambda d: info(d, fps=25), "fps is 25, but the source declares rate_hz 30"),
    "total wrong": (lambda d: info(d, total_frames=7), "sum to 180 frames, info.json says 7"),
    "path of nothing": (lambda d: info(d, data_path="{x}"), "data_path '{x}' names no file"),
    "no feature": (lambda d: info(d, features={}), "no feature 'observation.state'"),
    "data gone": (lambda d: (d / DATA_FILE).unlink(), r"file-000\.parquet is missing"),
    "data cut": (lambda d: half_of(d / DATA_FILE), r"file-000\.parquet is not readable"),
    "episodes cut": (lambda d: half_of(d / EPISODES_FILE), r"file-000\.parquet is not readable"),
    "length wrong": (
        lambda d: edit(d / EPISODES_FILE, length=at(1, 80)),
        "sum to 170 frames, info.json says 180",
    ),
    "length a text": (
        lambda d: edit(d / EPISODES_FILE, length=lambda rows: ["90", "90"]),
        r"row 0: length: .*integer",
    ),
    "place wrong": (
        lambda d: edit(d / EPISODES_FILE, dataset_from_index=at(1, 80)),
        "episode 1 of 90 frames is said to be frames 80 to 180, those before end at 90",
    ),
    "file of another number": (
        lambda d: edit(d / EPISODES_FILE, data__file_index=at(1, 3)),
        r"file-003\.parquet is missing",
    ),
    "numbers missing": (
        lambda d: edit(d / EPISODES_FILE, episode_index=None),
        r"row 0: missing 'episode_index'",
    ),
    "row of another episode": (
        lambda d: edit(d / DATA_FILE, episode_index=at(100, 0)),
        r"has 91 frames of episode 0, meta/episodes says 90",
    ),
    "frame number wrong": (
        lambda d: edit(d / DATA_FILE, frame_index=at(95, 99)),
        "row 95 is frame 99",
    ),
    "index wrong": (
        lambda d: edit(d / DATA_FILE, index=at(95, 3)),
        "of episode 1 is 3, .* says 95",
    ),
    "number missing": (
        lambda d: edit(d / DATA_FILE, **{STATE: at(12, [0.5] * 25)}),
        "observation.state of frame 12 has 25 numbers, info.json says 26",
    ),
    "not a number": (
        lambda d: edit(d / DATA_FILE, **{STATE: at(95, [float("nan")] * 26)}),
        r"episode 1: state left_shoulder_pitch_joint of frame 5 is nan",
    ),
    "changed since": (
        lambda d: edit(d / DATA_FILE, **{STATE: at(95, [0.5] * 26)}),
        "the stats of meta/episodes says",
    ),
    "statistics of the whole wrong": (
        lambda d: (
            edit(d / EPISODES_FILE, **{f"stats__{STATE}__min": None}),
            (d / "meta/stats.json").write_text(
                json.dumps({STATE: {"min": [-9.0] * 26, "max": [9.0] * 26}})
            ),
        ),
        r"meta/stats\.json says -9",
    ),
    "statistics garbled": (
        lambda d: (d / "meta/stats.json").write_text("[1]"),
        r"stats\.json holds no statistics by feature",
    ),
    "column missing": (
        lambda d: edit(d / DATA_FILE, timestamp=None),
        "lacks the column 'timestamp'",
    ),
}


@pytest.mark.parametrize("fault", LEROBOT)
def test_a_bad_lerobot_v3_dataset_is_told_in_one_sentence(lerobot, tmp_path, capsys, fault):
    spoil, pattern = LEROBOT[fault]
    shutil.copytree(lerobot / "d", tmp_path / "d")
    spoil(tmp_path / "d")
    refused(tmp_path, g1()[1], lerobot / "source.yaml", tmp_path / "d", capsys, pattern)


def test_missing_statistics_and_names_are_said_and_given(lerobot, tmp_path):
    shutil.copytree(lerobot / "d", tmp_path / "d")
    (tmp_path / "d" / "meta" / "stats.json").unlink()
    without = {f"stats__{key}__min": None for key in (STATE, "action")}
    edit(tmp_path / "d" / EPISODES_FILE, **without)
    features = json.loads((tmp_path / "d/meta/info.json").read_text())["features"]
    names = features[STATE]["names"]
    for key in (STATE, "action"):
        features[key]["names"] = None
    info(tmp_path / "d", features=features)
    raw = yaml.safe_load((lerobot / "source.yaml").read_text())
    raw["format"]["names"] = names
    (tmp_path / "source.yaml").write_text(yaml.safe_dump(raw))
    assert taken(tmp_path, g1()[1], tmp_path / "source.yaml", tmp_path / "d") == 0
    for episode in episodes_in(tmp_path / "episodes"):
        found = episode.manifest.meta["findings"]
        assert f"no statistics of this episode to compare {STATE} with" in found


def test_features_that_nobody_declared_are_said_not_to_be_read(lerobot, tmp_path, capsys):
    shutil.copytree(lerobot / "d", tmp_path / "d")
    features = json.loads((tmp_path / "d" / "meta" / "info.json").read_text())["features"]
    features["observation.images.head"] = {"dtype": "video", "shape": [48, 64, 3], "names": None}
    info(tmp_path / "d", features=features)
    assert taken(tmp_path, g1()[1], lerobot / "source.yaml", tmp_path / "d") == 0
    assert "not read: observation.images.head\n" in capsys.readouterr().out
    for episode in episodes_in(tmp_path / "episodes"):
        assert episode.manifest.meta["not_read"] == ["observation.images.head"]


def test_a_parquet_file_that_would_fill_the_memory_is_refused(lerobot, tmp_path, capsys):
    shutil.copytree(lerobot / "d", tmp_path / "d")
    table = arrow.table({"timestamp": arrow.nulls(3 << 27)})  # of which each is eight bytes
    parquet.write_table(table, tmp_path / "d" / DATA_FILE)
    assert (tmp_path / "d" / DATA_FILE).stat().st_size < 1 << 20
    source = lerobot / "source.yaml"
    refused(tmp_path, g1()[1], source, tmp_path / "d", capsys, r"would take \d+ MiB of memory")
