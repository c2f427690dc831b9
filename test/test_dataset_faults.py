"""Bad data, generated from recordings of people: one sentence, exit code 2, nothing written.

And the other way round: variants of the same recordings that nothing is wrong with pass.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from foreign_data import CONFIG, FEATURES, LeRobotFiles, RobosuiteFile, g1, lift

from vdd_ros import cli
from vdd_ros.datasets.importing import check, read

STATE, ACTION = FEATURES
G1, LIFT = LeRobotFiles.committed(), RobosuiteFile.committed()


def keep(files: LeRobotFiles, rows: np.ndarray) -> None:
    """Only these rows of the second episode."""
    files.tables[1] = {name: values[rows] for name, values in files.tables[1].items()}


def swap(values: np.ndarray, first: int, second: int) -> None:
    values[:, [first, second]] = values[:, [second, first]]


# each changes what will be written; what it says of itself is what a broken tool would leave


def nan_in_state(f):
    f.tables[1][STATE][40, 3] = np.nan


def infinite_action(f):
    f.tables[1][ACTION][41, 9] = np.inf


def number_missing(f):
    rows = [list(map(float, row)) for row in f.tables[1][STATE]]
    rows[12][5] = None
    f.tables[1][STATE] = np.array(rows, dtype=object)


def name_misspelt(f):
    f.info["features"][ACTION]["names"][0][3] = "kLeftElbo"


def name_missing(f):
    f.info["features"][STATE]["names"][0].pop()


def channel_undeclared(f):
    for feature in (STATE, ACTION):
        f.info["features"][feature]["names"][0].append("kWaistYaw")
        f.info["features"][feature]["shape"] = [27]
        for table in f.tables:
            table[feature] = np.pad(table[feature], ((0, 0), (0, 1)))


def columns_swapped_since(f):
    for feature in (STATE, ACTION):
        swap(f.tables[1][feature], 3, 5)


def state_columns_swapped(f):
    swap(f.tables[1][STATE], 3, 5)
    f.count_anew()


def degrees(f):
    for feature in (STATE, ACTION):
        f.tables[1][feature][:, :14] *= 180.0 / np.pi
    f.count_anew()


def percent(f):
    for feature in (STATE, ACTION):
        f.tables[1][feature][:, 14:] *= 100.0
    f.count_anew()


def time_backwards(f):
    f.tables[1]["timestamp"][50] = f.tables[1]["timestamp"][48] - 0.001


def time_stands_still(f):
    f.tables[1]["timestamp"][51] = f.tables[1]["timestamp"][50]


def time_not_a_number(f):
    f.tables[1]["timestamp"][7] = np.nan


def frame_doubled(f):
    keep(f, np.r_[0:30, 29, 30:90])
    f.rows[1]["length"] = 91
    f.info["total_frames"] += 1


def frame_dropped(f):
    keep(f, np.r_[0:30, 31:90])
    f.rows[1]["length"] = 89
    f.info["total_frames"] -= 1


def frames_dropped_and_numbered_anew(f):
    keep(f, np.r_[0:30, 34:90])
    f.count_anew()


def other_rate_in_metadata(f):
    f.info["fps"] = 15


def other_rate_in_stamps(f):
    f.tables[1]["timestamp"] = f.tables[1]["timestamp"] * 2.0


def episode_empty(f):
    keep(f, np.arange(0))
    f.rows[1]["length"], f.info["total_frames"] = 0, 90


def episode_too_short(f):
    keep(f, np.arange(3))
    f.count_anew()


def length_wrong(f):
    f.rows[1]["length"], f.info["total_frames"] = 100, 190


def total_wrong(f):
    f.info["total_frames"] = 999


def episode_not_listed(f):
    f.rows.pop()
    f.info["total_frames"], f.info["total_episodes"] = 90, 1


def absurd_value(f):
    f.tables[1][ACTION][60, 2] = 1e6
    f.count_anew()


def leap(f):
    f.tables[1][STATE][60:, 6] += 0.5
    f.count_anew()


def other_episode(f):
    f.tables[1]["episode_index"][10] = 5


def version_3(f):
    f.info["codebase_version"] = "v3.0"


def column_missing(f):
    del f.tables[1]["timestamp"]


def feature_missing(f):
    del f.info["features"][STATE]


def row_short(f):
    rows = [list(map(float, row)) for row in f.tables[1][STATE]]
    rows[20].pop()
    f.tables[1][STATE] = np.array(rows, dtype=object)


def commands_zero(f):
    f.tables[1][ACTION][:] = 0.0
    f.count_anew()


def arm_columns_shifted(f):
    f.tables[1][STATE][:, 7:14] = np.roll(f.tables[1][STATE][:, 7:14], 1, axis=1)
    f.count_anew()


def hand_columns_shifted(f):
    f.tables[1][STATE][:, 20:26] = np.roll(f.tables[1][STATE][:, 20:26], 1, axis=1)
    f.count_anew()


def length_a_text(f):
    f.rows[1]["length"] = "90"


def tasks_a_number(f):
    f.rows[1]["tasks"] = [3]


def features_gone(f):
    f.info["features"] = None


def statistics_a_list(f):
    f.statistics[1]["stats"] = [1]


def statistics_of_another_size(f):
    f.statistics[1]["stats"][ACTION]["max"].pop()


def stamps_as_text(f):
    f.tables[1]["timestamp"] = np.array([str(one) for one in f.tables[1]["timestamp"]])


EPISODE = r"episode_000001\.parquet"
LEROBOT = {
    nan_in_state: rf"{EPISODE}: state kLeftElbow of frame 40 is nan",
    infinite_action: rf"{EPISODE}: command kRightShoulderYaw of frame 41 is inf",
    number_missing: rf"{EPISODE}: observation.state of frame 12 has 25 numbers",
    name_misspelt: r"info\.json: .*not declared \['kLeftElbo'\], not in the file \['kLeftElbow'\]",
    name_missing: r"info\.json: observation.state has shape \[26\]",
    channel_undeclared: r"info\.json: .*not declared \['kWaistYaw'\]",
    columns_swapped_since: rf"{EPISODE}: min of .*kLeftElbow .*columns are in another order",
    state_columns_swapped: rf"{EPISODE}: left_elbow_joint does what left_wrist_pitch_joint is told",
    degrees: rf"{EPISODE}: state of left_shoulder_pitch_joint is -4.* rad.*another unit",
    percent: rf"{EPISODE}: state of left_hand_pinky is .* 0 and 1 fraction",
    time_backwards: rf"{EPISODE}: time goes from .* after frame 49",
    time_stands_still: rf"{EPISODE}: time goes from .* after frame 50",
    time_not_a_number: rf"{EPISODE}: the time of frame 7 is nan",
    frame_doubled: rf"{EPISODE}: row 30 is frame 29",
    frame_dropped: rf"{EPISODE}: row 30 is frame 31",
    frames_dropped_and_numbered_anew: rf"{EPISODE}: 4 frames are missing after frame 29",
    other_rate_in_metadata: r"info\.json: fps is 15, but the source declares rate_hz 30",
    other_rate_in_stamps: rf"{EPISODE}: frames come 15 times a second",
    episode_empty: rf"{EPISODE} has 0 frames",
    episode_too_short: rf"{EPISODE} has 3 frames",
    length_wrong: rf"{EPISODE} has 90 frames, meta/episodes.jsonl says 100",
    total_wrong: r"episodes\.jsonl: lengths sum to 180 frames, info.json says 999",
    episode_not_listed: r"episodes\.jsonl lists 1 episodes, the source says 2",
    absurd_value: rf"{EPISODE}: command of left_shoulder_yaw_joint is 1e\+06 at frame 60",
    leap: rf"{EPISODE}: state of left_wrist_yaw_joint leaps from .* after frame 59",
    other_episode: rf"{EPISODE}: frame 10 belongs to episode 5",
    version_3: r"info\.json: codebase_version is 'v3.0', 'v2.1' is read",
    column_missing: rf"{EPISODE} lacks the column 'timestamp'",
    feature_missing: r"info\.json: no feature 'observation.state'",
    commands_zero: rf"{EPISODE}: left_shoulder_pitch_joint is 0\..* rad from its command",
    arm_columns_shifted: rf"{EPISODE}: right_shoulder_pitch_joint does .*, and \d joints more",
    hand_columns_shifted: rf"{EPISODE}: right_hand_\w+ does what .* is told, and \d joints more",
    length_a_text: r"episodes\.jsonl, line 2: length: .*integer.*found '90'",
    tasks_a_number: r"episodes\.jsonl, line 2: tasks\.0: .*string",
    features_gone: r"info\.json: features is no map of keys",
    statistics_a_list: r"episodes_stats\.jsonl, line 2: stats is no map of keys",
    statistics_of_another_size: rf"{EPISODE}: meta/.* has no max of each of the 26 numbers",
    stamps_as_text: rf"{EPISODE}: column 'timestamp' holds no numbers",
    row_short: rf"{EPISODE}: observation.state of frame 20 has 25 numbers",
}


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def deleted(path: Path) -> None:
    path.unlink()


def renamed_fields(path: Path) -> None:
    path.write_text(path.read_text().replace("{episode_index:06d}", "{number:06d}"))


def garbled(path: Path) -> None:
    path.write_text('{"episode_index": 0, "length"\n')


FILES = [
    ("data/chunk-000/episode_000001.parquet", truncated, rf"{EPISODE} is not readable"),
    ("data/chunk-000/episode_000001.parquet", emptied, rf"{EPISODE} is not readable"),
    ("data/chunk-000/episode_000001.parquet", deleted, rf"{EPISODE} is missing"),
    ("meta/info.json", deleted, r"no .*info\.json"),
    ("meta/info.json", renamed_fields, r"info\.json: data_path .* names no file"),
    ("meta/info.json", truncated, r"info\.json: .*Invalid JSON"),
    ("meta/episodes.jsonl", deleted, r"episodes\.jsonl is missing"),
    ("meta/episodes.jsonl", garbled, r"episodes\.jsonl, line 1: .*Invalid JSON"),
    ("meta/episodes_stats.jsonl", garbled, r"episodes_stats\.jsonl, line 1: .*Invalid JSON"),
]


# the same for robosuite's files; rows of states are time, 16 positions, 15 velocities


def other_env(f):
    f.attributes["env_info"] = json.dumps({"env_name": "Stack", "robots": "Panda"})


def other_robot(f):
    f.attributes["env_info"] = json.dumps({"env_name": "Lift", "robots": "Sawyer"})


def env_unknown(f):
    del f.attributes["env_info"]


def actions_short(f):
    f.demos["demo_2"]["actions"] = f.demos["demo_2"]["actions"][:-5]


def actions_of_joints(f):
    f.demos["demo_2"]["actions"] = np.pad(f.demos["demo_2"]["actions"], ((0, 0), (0, 1)))


def states_missing(f):
    del f.demos["demo_2"]["states"]


def states_of_integers(f):
    f.demos["demo_2"]["states"] = f.demos["demo_2"]["states"].astype(int)


def states_of_another_scene(f):
    f.demos["demo_2"]["states"] = f.demos["demo_2"]["states"][:, :20]


def position_not_a_number(f):
    f.demos["demo_2"]["states"][33, 2] = np.nan


def positions_in_degrees(f):
    f.demos["demo_2"]["states"][:, 1:8] *= 180.0 / np.pi


def joints_swapped(f):
    swap(f.demos["demo_2"]["states"], 2, 4)


def velocities_in_degrees(f):
    f.demos["demo_2"]["states"][:, 17:24] *= 180.0 / np.pi


def velocities_not_numbers(f):
    f.demos["demo_2"]["states"][:, 17:24] = np.nan


def velocity_absurd(f):
    f.demos["demo_2"]["states"][40, 19] = 1e200


def clock_backwards(f):
    f.demos["demo_2"]["states"][70, 0] -= 1.0


def rows_missing(f):
    for part, values in f.demos["demo_2"].items():
        f.demos["demo_2"][part] = np.delete(values, [20, 21], axis=0)


def recorded_at_10_hz(f):
    for part, values in f.demos["demo_2"].items():
        f.demos["demo_2"][part] = values[::2]


def gripper_in_percent(f):
    f.demos["demo_2"]["actions"][:, 6] *= 100.0


def demonstration_empty(f):
    for part, values in f.demos["demo_2"].items():
        f.demos["demo_2"][part] = values[:0]


def demonstration_gone(f):
    del f.demos["demo_2"]


DEMO = r"demo\.hdf5, demo_2"
ROBOSUITE = {
    other_env: r"demo\.hdf5: env_info says env 'Stack', the source declares 'Lift'",
    other_robot: r"demo\.hdf5: env_info says robot 'Sawyer'",
    env_unknown: r"demo\.hdf5: attribute env_info .* is missing or damaged",
    actions_short: rf"{DEMO}: 91 states but 86 actions",
    actions_of_joints: rf"{DEMO}: actions have 8 numbers, 7 are read",
    states_missing: rf"{DEMO} lacks 'states'",
    states_of_integers: rf"{DEMO}: states is int64",
    states_of_another_scene: rf"{DEMO}: states have 20 numbers",
    position_not_a_number: rf"{DEMO}: state qpos1 of frame 33 is nan",
    positions_in_degrees: rf"{DEMO}: state of panda_joint2 is .* another unit",
    joints_swapped: rf"{DEMO}: state of panda_joint2 is .* another unit or column",
    velocities_in_degrees: rf"{DEMO}: panda_joint\d moves at .* by its velocities",
    velocities_not_numbers: rf"{DEMO}: velocity qpos0 of frame 0 is nan",
    velocity_absurd: rf"{DEMO}: velocity of panda_joint3 is 1e\+200 a second at frame 40",
    clock_backwards: rf"{DEMO}: time goes from .* after frame 69",
    rows_missing: rf"{DEMO}: 2 frames are missing after frame 19",
    recorded_at_10_hz: rf"{DEMO}: frames come 10 times a second",
    gripper_in_percent: rf"{DEMO}: command action6 of frame 0 is -100, outside the span",
    demonstration_empty: rf"{DEMO} has 0 frames",
    demonstration_gone: r"demo\.hdf5 holds 1 demonstrations, the source declares 2",
}


def imported_to(folder: Path, kind: str, path: Path, capsys) -> str:
    """What `vdd dataset import` says of bad data; it must end with 2 and leave nothing."""
    source, _ = g1() if kind == "g1_bottle" else lift()
    declaration = folder / "source.yaml"
    declaration.write_text(yaml.safe_dump(source.model_dump(mode="json")))
    contract = CONFIG / ("g1_bottle.yaml" if kind == "g1_bottle" else "panda_gripper.yaml")
    words = ["dataset", "import", str(declaration), str(folder / "episodes")]
    words += ["--contract", str(contract), "--data", str(path)]
    before = sorted(folder.iterdir())
    assert cli.main(words) == 2
    assert sorted(folder.iterdir()) == before
    said = capsys.readouterr().err
    assert said.startswith("vdd: ") and said.count("\n") == 1
    return said


@pytest.mark.parametrize("spoil", LEROBOT, ids=lambda spoil: spoil.__name__)
def test_a_bad_lerobot_dataset_is_told_in_one_sentence(tmp_path, capsys, spoil: Callable):
    files = G1.copy()
    spoil(files)
    said = imported_to(tmp_path, "g1_bottle", files.write(tmp_path / "d"), capsys)
    assert re.search(LEROBOT[spoil], said), said


@pytest.mark.parametrize(("name", "damage", "pattern"), FILES)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path, capsys, name, damage, pattern):
    folder = G1.copy().write(tmp_path / "d")
    damage(folder / name)
    said = imported_to(tmp_path, "g1_bottle", folder, capsys)
    assert re.search(pattern, said), said


@pytest.mark.parametrize("spoil", ROBOSUITE, ids=lambda spoil: spoil.__name__)
def test_a_bad_robosuite_file_is_told_in_one_sentence(tmp_path, capsys, spoil: Callable):
    files = LIFT.copy()
    spoil(files)
    said = imported_to(tmp_path, "lift", files.write(tmp_path / "d"), capsys)
    assert re.search(ROBOSUITE[spoil], said), said


@pytest.mark.parametrize("damage", [truncated, emptied, deleted, garbled])
def test_a_damaged_hdf5_file_is_told_in_one_sentence(tmp_path, capsys, damage):
    path = LIFT.copy().write(tmp_path / "d")
    damage(path)
    said = imported_to(tmp_path, "lift", path, capsys)
    assert re.search(r"demo\.hdf5( is not readable HDF5|: name an HDF5)", said), said


@pytest.mark.parametrize("seed", range(60))
def test_a_clean_lerobot_dataset_raises_no_alarm(tmp_path, seed):
    """Cut, shifted in time, jittering, noisy, idle, stored otherwise, its columns in any order."""
    rng, files = np.random.default_rng(seed), G1.copy()
    order = rng.permutation(26) if rng.random() < 0.5 else np.arange(26)
    for i, table in enumerate(files.tables):
        first, last = sorted(rng.choice(np.arange(0, 91), 2, replace=False))
        rows = np.arange(first, last) if last - first >= 8 else np.arange(90)
        if rng.random() < 0.3:
            rows = np.r_[np.full(rng.integers(1, 40), rows[0]), rows]
        files.tables[i] = table = {name: values[rows] for name, values in table.items()}
        noise = rng.choice([0.0, 1e-4, 1e-3])
        for name in FEATURES:
            kind = rng.choice([np.float32, np.float64])
            noisy = table[name] + noise * rng.standard_normal(table[name].shape)
            table[name] = noisy.astype(kind)[:, order]
            table[name][:, order >= 14] = table[name][:, order >= 14].clip(0.0, 1.0)
        times = np.arange(len(rows)) / 30.0 + rng.choice([0.0, 17.25])
        times = times + rng.choice([0.0, 0.006, 0.01]) * rng.uniform(-1.0, 1.0, len(rows))
        table["timestamp"] = times.astype(rng.choice([np.float32, np.float64]))
        if rng.random() < 0.3:
            table["next.done"] = np.arange(len(rows)) == len(rows) - 1
    for name in FEATURES:
        names = [files.names()[j] for j in order] if name == STATE else None
        files.info["features"][name]["names"] = names or files.info["features"][name]["names"]
    shuffled = files.info["features"][STATE]["names"]
    forms = (shuffled, [shuffled], {"motors": shuffled})
    files.info["features"][ACTION]["names"] = forms[rng.integers(3)]
    files.count_anew()
    if rng.random() < 0.3:
        files.statistics = None
    if rng.random() < 0.3:
        files.tables.reverse()
        files.count_anew()
    compression = str(rng.choice(["snappy", "zstd", "none"]))
    source, contract = g1()
    path = files.write(tmp_path / "d", compression)
    assert len(check(read(path, source), source, contract)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_what_is_stored_otherwise_is_found_to_be_the_same(tmp_path, seed):
    """Other times of day, types, orders and compressions: every finding is the original's."""
    rng, files, (source, contract) = np.random.default_rng(seed), G1.copy(), g1()
    original = check(read(G1.copy().write(tmp_path / "o"), source), source, contract)
    order = rng.permutation(26)
    for table in files.tables:
        table["timestamp"] = np.arange(len(table["timestamp"])) / 30.0 + rng.uniform(0.0, 1e4)
        for name in FEATURES:
            table[name] = table[name].astype(np.float64)[:, order]
    for name in FEATURES:
        files.info["features"][name]["names"] = {"motors": [G1.names()[j] for j in order]}
    files.count_anew()
    path = files.write(tmp_path / "d", str(rng.choice(["snappy", "zstd", "none"])))
    found = check(read(path, source), source, contract)
    assert [clauses for _, clauses in found] == [clauses for _, clauses in original]


@pytest.mark.parametrize("seed", range(40))
def test_a_clean_robosuite_file_raises_no_alarm(tmp_path, seed):
    """Cut, shifted in time, noisy, in single precision, with more in it than is read."""
    rng, files = np.random.default_rng(seed), LIFT.copy()
    for demo in files.demos.values():
        first = rng.integers(0, 60)
        rows = np.arange(first, rng.integers(first + 12, 92))
        for part in ("states", "actions"):
            demo[part] = demo[part][rows]
        demo["states"][:, 0] += rng.choice([0.0, 0.052, 100.0]) - demo["states"][0, 0]
        demo["states"][:, 1:8] += rng.choice([0.0, 1e-5]) * rng.standard_normal((len(rows), 7))
        if rng.random() < 0.5:
            demo["states"] = demo["states"].astype(np.float32)
        if rng.random() < 0.5:
            demo["joint_torques"] = rng.standard_normal((len(rows), 7))
    files.attributes["date"] = "today"
    source, contract = lift()
    checked = check(read(files.write(tmp_path / "d"), source), source, contract)
    assert len(checked) == 2
