"""What an export keeps in memory does not grow with the recordings."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from recordings import CONTRACT, SECOND, STARTED, array_cdr, joint_state_cdr, position_at

from vdd_ros.contract import Contract
from vdd_ros.datasets.description import Description
from vdd_ros.datasets.exporting import export
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.datasets.lerobot_statistics import statistics_of
from vdd_ros.demo_recorder import DemoRecorder

FEW, MANY = 2, 6
ROWS = 800
OF_ONE = ROWS * 3 * 7 * 8  # [bytes] of the states, velocities and commands of one episode


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[int, Path]:
    """By how many episodes there are in each, all of them of one recording."""
    raw = CONTRACT.to_dict()
    raw["rates"] = {"control_hz": 100.0, "policy_hz": 100.0}
    for stream in raw["streams"].values():
        stream["rate_hz"] = 100.0
    root = tmp_path_factory.mktemp("memory")
    recorder = DemoRecorder(Contract.from_dict(raw), root / "one", "episode", "avoid")
    recorder.start(SECOND, STARTED)
    for tick in range(ROWS):
        now = SECOND + tick * SECOND // 100
        position = position_at(now)
        recorder.add("joint_state", joint_state_cdr(now, position, 0.1 * np.cos(position)), now)
        recorder.add("robot_command", array_cdr(position), now)
    recorder.save(SECOND + ROWS * SECOND // 100)
    return {count: copies(root / "one" / "episode_0001", root / str(count), count)
            for count in (FEW, MANY)}  # fmt: skip


def copies(episode: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    manifest = json.loads((episode / "manifest.json").read_text())
    for number in range(1, count + 1):
        name = f"episode_{number:04d}"
        (folder / name).mkdir()
        for file in manifest["files"]:
            os.link(episode / file, folder / name / file)
        (folder / name / "manifest.json").write_text(json.dumps(manifest | {"name": name}))
    return folder


@pytest.mark.parametrize("kind", ["lerobot_v3", "robomimic"])
def test_of_more_episodes_no_more_is_in_memory_at_a_time(folders, tmp_path, kind):
    """Where all frames were in memory it would be so much more for each of them."""
    export(folders[FEW], tmp_path / "first", kind)  # which imports what it needs
    peaks = {}
    for count, folder in folders.items():
        gc.collect()
        tracemalloc.start()
        export(folder, tmp_path / str(count), kind)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[MANY] - peaks[FEW] < 0.25 * (MANY - FEW) * OF_ONE
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["rosbag2", "lerobot_v3", "robomimic"])
def test_of_more_recordings_no_more_is_in_memory_at_a_time(folders, tmp_path, kind):
    """All are read and checked before the first episode is written, and yet one by one."""
    peaks = {}
    for count, folder in folders.items():
        exported = tmp_path / f"exported_{count}"
        export(folder, exported, kind)
        own = Description.read(exported)

        def imported(name: str, exported: Path = exported, own: Description = own) -> None:
            checked = check(read(exported, own.source), own.source, own.contract, is_own=True)
            write(checked, own.source, own.contract, tmp_path / name)

        if count == FEW:
            imported("first")  # which imports what it needs
        gc.collect()
        tracemalloc.start()
        imported(f"again_{count}")
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[MANY] - peaks[FEW] < 0.5 * (MANY - FEW) * OF_ONE


def test_statistics_that_come_part_by_part_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    parts = [rng.normal(5.0 * at, 1.0 + at, (10 + 30 * at, 3)) for at in range(4)]
    parts.append(np.full((7, 3), 1e6))
    whole, found = np.concatenate(parts), None
    for part in parts:
        found = statistics_of(part).with_those_of(found)
    assert found is not None and found.count == len(whole)
    np.testing.assert_array_equal(found.low, whole.min(0))
    np.testing.assert_array_equal(found.high, whole.max(0))
    np.testing.assert_allclose(found.mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std, whole.std(0), rtol=1e-12)
    weights = np.array([len(part) for part in parts]) / len(whole)
    quantiles = np.tensordot(weights, [statistics_of(part).quantiles for part in parts], 1)
    np.testing.assert_allclose(found.quantiles, quantiles, rtol=1e-12)
