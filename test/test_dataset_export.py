"""Episodes in the formats of others: written as those are documented, and read again unaltered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from disks import FULL, full_disk
from exported_data import (
    CONFIG,
    FORMATS,
    SOURCES,
    contract_of,
    described,
    episodes_in,
    imported,
    public_data,
    require_same,
    vdd,
)
from foreign_data import DATA, g1, lift
from pictures import contract_with, end_of, recorded
from pyarrow import parquet
from recordings import (
    CONTRACT,
    HOME,
    STARTED,
    array_cdr,
    feed,
    joint_state_cdr,
    position_at,
    record,
)
from scipy.spatial.transform import Rotation

from vdd_ros.bag import read_bag
from vdd_ros.cdr import poses_cdr
from vdd_ros.clock_offset import ClockOffset
from vdd_ros.contract import Contract
from vdd_ros.datasets import parquet_files
from vdd_ros.datasets.frames import frames_of
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.datasets.source import Source
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.manifest import Calibration, Provenance, Verdict

SECOND = 1_000_000_000
CONTRACT_WITH_CAMERAS = contract_with()
PROVENANCE = Provenance(operator="otter", licence="CC0-1.0", prompt="move the arm about")


@pytest.fixture(scope="module")
def bottle(tmp_path_factory) -> Path:
    """Two recordings of people, cut."""
    source, contract = g1()
    out = tmp_path_factory.mktemp("bottle") / "episodes"
    return imported(DATA / "g1_bottle", source, contract, out)


@pytest.fixture(scope="module")
def cube(tmp_path_factory) -> Path:
    """Two more, whose positions no float32 holds."""
    source, contract = lift()
    out = tmp_path_factory.mktemp("cube") / "episodes"
    return imported(DATA / "robosuite_human" / "lift.hdf5", source, contract, out)


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Two recordings of our own: states at 200 Hz with velocities, commands at 100 Hz."""
    folder = tmp_path_factory.mktemp("own") / "episodes"
    record_swinging(folder, 1.0, success=True, note="smooth")
    record_swinging(folder, 1.3, success=False)
    return folder


def record_swinging(folder: Path, seconds: float, spoilt: bool = False, **meta: object) -> None:
    """Messages arrive after their stamps; velocities are those of the positions."""
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid", PROVENANCE)
    recorder.start(SECOND, STARTED)
    for tick in range(round(seconds * 200)):
        now = SECOND + tick * 5_000_000
        position = position_at(now)
        velocity = 0.1 * np.cos(now * 1e-9 + np.arange(7))
        recorder.add("joint_state", joint_state_cdr(now, position, velocity), now + 300_000)
        if tick % 2 == 0:
            recorder.add("teleop_command", joint_state_cdr(now, position), now + 400_000)
            recorder.add("robot_command", array_cdr(position + 0.001), now + 600_000)
    if spoilt:
        later = SECOND + round(seconds * SECOND)
        recorder.add("joint_state", joint_state_cdr(later, [0.0], names=["finger"]), later)
        recorder.add("joint_state", joint_state_cdr(later, np.full(7, np.nan)), later)
    recorder.annotate(meta)
    recorder.save(SECOND + round(seconds * SECOND))


def round_trip(folder: Path, words: list[str], tmp_path: Path) -> Path:
    """Export and import again; the folder of episodes."""
    assert vdd("dataset", "export", folder, tmp_path / "exported", *words) == 0
    assert vdd("dataset", "import", tmp_path / "exported", tmp_path / "again") == 0
    return tmp_path / "again"


@pytest.mark.parametrize("words", FORMATS.values(), ids=FORMATS)
def test_recordings_of_people_come_back_equal(bottle, tmp_path, words):
    require_same(episodes_in(bottle), episodes_in(round_trip(bottle, words, tmp_path)))


@pytest.mark.parametrize("words", FORMATS.values(), ids=FORMATS)
def test_what_float32_rounds_is_said_and_nothing_else_is_rounded(cube, tmp_path, words):
    again = episodes_in(round_trip(cube, words, tmp_path))
    is_rounded = words == FORMATS["lerobot_v3 float32"]
    require_same(episodes_in(cube), again, atol=2e-7 if is_rounded else 0.0)
    assert is_rounded == any(
        "float32" in clause for clause in described(tmp_path / "exported")["lost"]
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_public_file_comes_back_equal(tmp_path, path):
    """Of the dataset of eighty files each goes one of the four ways, of the others all of them."""
    source, contract = Source.from_yaml(path), contract_of(path)
    recordings = read(public_data(source), source)
    is_large = len(recordings) > len(FORMATS)
    for at, (name, words) in enumerate(FORMATS.items()):
        folder = tmp_path / name.replace(" ", "_")
        folder.mkdir()
        every = len(FORMATS)
        some = list(recordings)[at::every] if is_large else recordings
        write(check(some, source, contract), source, contract, folder / "episodes")
        again = episodes_in(round_trip(folder / "episodes", words, folder))
        is_rounded = name == "lerobot_v3 float32" and contract.name != "g1_bottle"
        require_same(episodes_in(folder / "episodes"), again, atol=4e-7 if is_rounded else 0.0)


@pytest.mark.parametrize("name", ["lerobot_v3 float64", "robomimic"])
def test_own_recordings_come_back_frame_for_frame(own, tmp_path, name):
    again = episodes_in(round_trip(own, FORMATS[name], tmp_path))
    for before, after in zip(episodes_in(own), again, strict=True):
        frames, twice = frames_of(before), frames_of(after)
        period_ns = before.contract.policy_period_ns
        assert (np.diff(frames.ticks_ns) == period_ns).all()
        for part in ("state", "command", "velocity"):
            np.testing.assert_array_equal(getattr(frames, part), getattr(twice, part))
        assert after.manifest.meta["success"] is before.manifest.meta["success"]
        assert after.manifest.provenance == PROVENANCE
        assert after.manifest.started == before.manifest.started
    lost = described(tmp_path / "exported")["lost"]
    assert any(clause.startswith("what joint_state said between frames") for clause in lost)
    assert any(clause.startswith("stream teleop_command") for clause in lost)


def test_a_frame_is_what_was_known_at_its_time(own):
    """State: the newest sample that had been received; command: linear between two commands."""
    episode = episodes_in(own)[0]
    frames = frames_of(episode)
    state, command = episode.streams["joint_state"], episode.streams["robot_command"]
    for row, tick_ns in enumerate(frames.ticks_ns):
        known = np.flatnonzero(state.received_ns <= tick_ns)
        np.testing.assert_array_equal(frames.state[row], state.fields["position"][known[-1]])
        exact = [
            np.interp(tick_ns - SECOND, command.stamps_ns - SECOND, column)
            for column in command.fields["position"].T
        ]
        np.testing.assert_allclose(frames.command[row], exact, rtol=0, atol=1e-12)


def test_a_rosbag2_holds_every_message_byte_for_byte_in_the_order_of_receipt(own, tmp_path):
    again = round_trip(own, FORMATS["rosbag2"], tmp_path)
    for before, after in zip(episodes_in(own), episodes_in(again), strict=True):
        assert after.manifest.verdict == before.manifest.verdict
        assert after.manifest.streams == before.manifest.streams
        recordings = [
            read_bag(folder / one.name / f"{one.name}_0.mcap").messages
            for folder, one in ((own, before), (again, after))
        ]
        assert sorted(recordings[0]) == sorted(recordings[1])
    bag = tmp_path / "exported" / "episode_0001"
    assert sorted(path.name for path in bag.iterdir()) == ["episode_0001_0.mcap", "metadata.yaml"]
    first = read_bag(own / "episode_0001" / "episode_0001_0.mcap").messages
    require_played_by_others(bag, first)


def test_what_is_wrong_with_a_recording_comes_back_with_it(tmp_path):
    """Messages without a joint, or without a number, and a verdict that says so."""
    record_swinging(tmp_path / "own", 1.0, spoilt=True)
    before = episodes_in(tmp_path / "own")[0]
    assert before.manifest.verdict.level == "FAIL"
    again = round_trip(tmp_path / "own", [*FORMATS["rosbag2"], "--allow-failed"], tmp_path)
    after = episodes_in(again)[0]
    assert after.manifest.verdict == before.manifest.verdict
    assert after.manifest.streams == before.manifest.streams
    assert after.manifest.streams["joint_state"].incomplete == 1
    paths = [
        folder / "episode_0001" / "episode_0001_0.mcap" for folder in (tmp_path / "own", again)
    ]
    first, second = (sorted(read_bag(path).messages) for path in paths)
    assert first == second


BLACK = Verdict(level="FAIL", reasons=("camera front is black from 0.20 s on (FAIL)",))


@pytest.mark.parametrize("name", ["lerobot_v3 float64", "robomimic", "rosbag2"])
def test_a_verdict_that_only_the_manifest_knows_is_not_lost(tmp_path, capsys, name):
    record(tmp_path / "own", 1.0)
    record(tmp_path / "own", 1.0, verdict=BLACK)
    words = [tmp_path / "own", tmp_path / "e", *FORMATS[name]]
    assert vdd("dataset", "export", *words) == 2
    said = capsys.readouterr().err
    assert "episode episode_0002 is not fit to learn from, FAIL: camera front is black" in said
    assert "--allow-failed" in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    again = round_trip(tmp_path / "own", [*FORMATS[name], "--allow-failed"], tmp_path)
    facts = described(tmp_path / "exported")["episodes"]
    assert [one["verdict"]["level"] for one in facts] == ["PASS", "FAIL"]
    first, second = (one.manifest.verdict for one in episodes_in(again))
    assert first.level == "PASS" and second == BLACK
    assert vdd("dataset", "check", again) == 1


@pytest.mark.parametrize("name", ["lerobot_v3 float64", "robomimic", "rosbag2"])
def test_pictures_come_along_or_are_said_to_be_lost(tmp_path, capsys, name):
    recorder = recorded(CONTRACT_WITH_CAMERAS, tmp_path / "own")
    recorder.save(end_of(1.0))
    round_trip(tmp_path / "own", FORMATS[name], tmp_path)
    lost = described(tmp_path / "exported")["lost"]
    said = capsys.readouterr().out
    if name == "rosbag2":
        folders = [tmp_path / place / "episode_0001" / "cameras" for place in ("own", "exported")]
        before, after = (
            {path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders
        )
        assert before == after and before
        assert lost == [] and "not read" not in said
        (first,), (second,) = (episodes_in(tmp_path / place) for place in ("own", "again"))
        assert first.manifest.cameras == second.manifest.cameras
        assert "not_read" not in second.manifest.meta and second.manifest.verdict.level == "PASS"
        EpisodeStore(tmp_path / "again").check_images("episode_0001")
        for name in CONTRACT_WITH_CAMERAS.cameras:
            one, other = (list(episode.images(name)) for episode in (first, second))
            assert len(one) == len(other) == 30
            for shown, again in zip(one, other, strict=True):
                np.testing.assert_array_equal(shown.pixels, again.pixels)
                assert (shown.stamp_ns, shown.received_ns) == (again.stamp_ns, again.received_ns)
    else:
        assert {"camera front: 30 pictures", "camera wrist: 30 pictures"} <= set(lost)
        assert "lost: camera front: 30 pictures" in said
        (after,) = episodes_in(tmp_path / "again")
        assert "front has no picture (front/image) (WARN)" in after.manifest.verdict.reasons


def test_pictures_of_a_merged_episode_come_back_under_the_name_of_their_file(tmp_path):
    recorded(CONTRACT_WITH_CAMERAS, tmp_path / "own").save(end_of(1.0))
    assert vdd("dataset", "merge", tmp_path / "own", "--out", tmp_path / "merged") == 0
    again = round_trip(tmp_path / "merged", FORMATS["rosbag2"], tmp_path)
    (after,) = episodes_in(again)
    assert (after.name, len(after.images("wrist"))) == ("a_episode_0001", 30)


@pytest.mark.parametrize("spoil", ["changed", "gone"])
def test_pictures_that_are_not_those_exported_end_the_import(tmp_path, capsys, spoil):
    recorded(CONTRACT_WITH_CAMERAS, tmp_path / "own").save(end_of(1.0))
    assert vdd("dataset", "export", tmp_path / "own", tmp_path / "e", *FORMATS["rosbag2"]) == 0
    (bag,) = (tmp_path / "e" / "episode_0001" / "cameras").glob("*.mcap")
    content = bag.read_bytes()
    bag.unlink()  # it is a link to the episode's
    if spoil == "changed":
        bag.write_bytes(content[:-100] + bytes(100))
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 2
    said = capsys.readouterr().err
    assert str(bag) in said and ("sha256" in said or "is not readable" in said)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_manifest_says_beside_its_streams_comes_back(tmp_path, name):
    """Calibration, clocks, losses, delays and software are of the recording, not of the import."""
    folder = tmp_path / "own"
    made = Calibration(sha256="c" * 64, made="2026-01-01")
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid", PROVENANCE, calibration=made)
    recorder.beside.note_clock("robot", ClockOffset(offset_s=0.002, within_s=0.0005))
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 4.0)
    recorder.add_lost("joint_state", 7)
    recorder.save(SECOND + 4 * SECOND)
    path = folder / "episode_0001" / "manifest.json"
    raw = json.loads(path.read_text())
    raw |= {"software": "vdd_ros 0.0.1", "response_s": {"panda_joint1": 0.02}}
    raw["streams"]["robot_command"]["missing"] = 3
    path.write_text(json.dumps(raw))
    (folder / "episodes.jsonl").unlink()  # it knows the manifest as it was
    (before,) = episodes_in(folder)
    (after,) = episodes_in(round_trip(folder, FORMATS[name], tmp_path))
    for key in ("calibration", "clocks", "response_s", "software", "provenance", "task"):
        assert getattr(after.manifest, key) == getattr(before.manifest, key), key
    assert after.manifest.calibration == made and "robot" in after.manifest.clocks
    losses = {stream: (one.lost, one.missing) for stream, one in after.manifest.streams.items()}
    assert losses["joint_state"] == (7, 0) and losses["robot_command"] == (0, 3)
    said = str(after.manifest.verdict)
    assert said.count("joint_state lost 7 messages") == 1


@pytest.mark.parametrize(
    "words",
    [
        *(["export", "OUT", "--format", kind] for kind in ("lerobot_v3", "robomimic", "rosbag2")),
        ["trim", "--out", "OUT", "--begin", "0.1"],
        ["show", "episode_0001", "--page", "OUT"],
    ],
    ids=lambda words: " ".join(words[::3]),
)
def test_a_full_disk_is_told_and_nothing_is_left(own, tmp_path, capsys, words):
    command, *more = (str(tmp_path / "out") if word == "OUT" else word for word in words)
    with full_disk():
        code = vdd("dataset", command, own, *more)
    assert code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"vdd: writing {tmp_path / 'out'} failed") and FULL in said
    assert list(tmp_path.iterdir()) == []


def test_an_episode_that_calls_itself_sound_is_judged_before_it_is_exported(tmp_path, capsys):
    """And once the bad part is cut from what was exported and read again, it is sound."""
    recorder = DemoRecorder(CONTRACT, tmp_path / "own", "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 1.5, skip=lambda stream, time_ns: 0.1 < time_ns / SECOND - 1 < 0.5)
    recorder.stop(end_of(1.5))
    recorder.verdict = Verdict(level="PASS")
    recorder.save(end_of(1.5))
    words = FORMATS["rosbag2"]
    assert vdd("dataset", "export", tmp_path / "own", tmp_path / "e", *words) == 2
    assert "silent for 0.4" in capsys.readouterr().err and not (tmp_path / "e").exists()
    again = round_trip(tmp_path / "own", [*words, "--allow-failed"], tmp_path)
    assert episodes_in(again)[0].manifest.verdict.level == "FAIL"
    assert vdd("dataset", "trim", again, "--out", tmp_path / "cut", "--begin", 0.5) == 0
    assert episodes_in(tmp_path / "cut")[0].manifest.verdict.level == "PASS"


def require_played_by_others(bag: Path, messages: list) -> None:
    """rosbags and mcap's own reader see the messages, in the order of their receipt."""
    from mcap.reader import make_reader
    from rosbags.highlevel import AnyReader

    with AnyReader([bag]) as reader:
        found = []
        for connection, received_ns, data in reader.messages():
            reader.deserialize(data, connection.msgtype)
            found.append((received_ns, bytes(data)))
    assert sorted(found) == sorted((one.received_ns, one.data) for one in messages)
    with next(bag.glob("*.mcap")).open("rb") as file:
        times = [one.log_time for *_, one in make_reader(file).iter_messages(log_time_order=False)]
    assert times == sorted(times) and len(times) == len(messages)


@pytest.mark.parametrize("name", ["lerobot_v3 float64", "robomimic", "rosbag2"])
def test_objects_come_back_where_they_were(tmp_path, name):
    contract = Contract.from_yaml(CONFIG / "panda_push.yaml")
    recorder = DemoRecorder(contract, tmp_path / "own", "episode", "push")
    recorder.start(SECOND, "2026-01-02T03:04:05+00:00")
    rng = np.random.default_rng(0)
    turns = Rotation.random(2, rng).as_quat()
    for tick in range(100):
        now = SECOND + tick * 20_000_000
        position = HOME + 0.1 * np.sin(tick * 0.02 + np.arange(7))
        poses = np.hstack([0.4 + 0.001 * tick + np.zeros((2, 3)), turns])
        recorder.add("joint_state", joint_state_cdr(now, position), now)
        recorder.add("objects", poses_cdr(contract.streams["objects"], contract, poses, now), now)
        recorder.add("robot_command", array_cdr(position), now)
    recorder.save(SECOND + 2 * SECOND)
    again = episodes_in(round_trip(tmp_path / "own", [*FORMATS[name], "--allow-failed"], tmp_path))
    before, after = frames_of(episodes_in(tmp_path / "own")[0]), frames_of(again[0])
    for field, values in before.objects["objects"].items():
        np.testing.assert_allclose(after.objects["objects"][field], values, rtol=0, atol=1e-12)
    if name != "rosbag2":
        assert any("lean" in clause for clause in described(tmp_path / "exported")["lost"])


def test_lerobots_layout_is_as_it_is_documented(own, tmp_path):
    assert vdd("dataset", "export", own, tmp_path / "e", "--format", "lerobot_v3") == 0
    info = json.loads((tmp_path / "e/meta/info.json").read_text())
    frames = [frames_of(episode) for episode in episodes_in(own)]
    count = sum(map(len, frames))
    assert info["codebase_version"] == "v3.0" and info["fps"] == 10
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, count, 1)
    assert info["splits"] == {"train": "0:2"}
    joints = list(frames[0].manifest.contract.joint_names)
    for key in ("observation.state", "observation.velocity", "action"):
        assert info["features"][key] == {"dtype": "float32", "shape": [7], "names": joints}
    data = parquet.read_table(tmp_path / "e/data/chunk-000/file-000.parquet").to_pydict()
    assert set(data) == set(info["features"])
    np.testing.assert_array_equal(data["index"], np.arange(count))
    np.testing.assert_array_equal(
        data["frame_index"], [*range(len(frames[0])), *range(len(frames[1]))]
    )
    assert np.array(data["timestamp"])[3] == np.float32(3 / 10)
    assert np.flatnonzero(data["next.done"]).tolist() == [len(frames[0]) - 1, count - 1]
    assert np.flatnonzero(data["next.success"]).tolist() == [len(frames[0]) - 1]
    rows = parquet.read_table(tmp_path / "e/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["length"] for row in rows] == list(map(len, frames))
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in rows] == [
        (0, len(frames[0])),
        (len(frames[0]), count),
    ]
    assert rows[0]["tasks"] == ["move the arm about"]
    tasks = parquet.read_table(tmp_path / "e/meta/tasks.parquet").to_pydict()
    assert tasks == {"task_index": [0], "__index_level_0__": ["move the arm about"]}
    for row, one in zip(rows, frames, strict=True):
        state = one.state.astype(np.float32)
        np.testing.assert_allclose(row["stats/observation.state/q90"], np.quantile(state, 0.9, 0))
        assert row["stats/action/count"] == [len(one)]
    stats = json.loads((tmp_path / "e/meta/stats.json").read_text())["action"]
    command = np.concatenate([one.command for one in frames]).astype(np.float32).astype(float)
    for which, values in (("min", command.min(0)), ("max", command.max(0))):
        np.testing.assert_array_equal(stats[which], values)
    np.testing.assert_allclose(stats["mean"], command.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats["std"], command.std(0), rtol=1e-9)


def test_lerobots_files_stay_below_their_size(bottle, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "MIB", 1 << 10)
    again = round_trip(bottle, ["--format", "lerobot_v3", "--file-mb", "30"], tmp_path)
    files = sorted((tmp_path / "exported").glob("data/*/*.parquet"))
    assert [file.name for file in files] == ["file-000.parquet", "file-001.parquet"]
    require_same(episodes_in(bottle), episodes_in(again))


def test_robomimics_layout_is_as_it_is_documented(own, tmp_path):
    assert (
        vdd("dataset", "export", own, tmp_path / "e", "--format", "robomimic", "--valid", 0.5) == 0
    )
    frames = [frames_of(episode) for episode in episodes_in(own)]
    with h5py.File(tmp_path / "e/demonstrations.hdf5") as file:
        data = file["data"]
        assert data.attrs["total"] == sum(map(len, frames))
        env = json.loads(data.attrs["env_args"])
        assert env == {
            "env_name": "panda_avoid",
            "env_type": 2,
            "type": 2,
            "env_kwargs": {"control_freq": 10.0},
        }
        assert file["mask/train"][()].tolist() == [b"demo_0"]
        assert file["mask/valid"][()].tolist() == [b"demo_1"]
        for at, one in enumerate(frames):
            demo = data[f"demo_{at}"]
            assert demo.attrs["num_samples"] == len(one)
            np.testing.assert_array_equal(demo["actions"], one.command)
            np.testing.assert_array_equal(demo["obs/joint_position"], one.state)
            np.testing.assert_array_equal(demo["obs/joint_velocity"], one.velocity)
            assert demo["dones"][()].tolist() == [0] * (len(one) - 1) + [1]
            assert demo["rewards"][-1] == float(one.success is True)
            assert "states" not in demo and "next_obs" not in demo
    assert any(
        clause.startswith("states and model_file") for clause in described(tmp_path / "e")["lost"]
    )


@pytest.mark.parametrize("name", ["lerobot_v3 float64", "robomimic", "rosbag2"])
def test_a_declaration_alone_reads_what_was_exported(own, tmp_path, name):
    assert vdd("dataset", "export", own, tmp_path / "e", *FORMATS[name]) == 0
    source = described(tmp_path / "e")["source"]
    (tmp_path / "e" / "vdd_ros.json").unlink()
    (tmp_path / "source.yaml").write_text(yaml.safe_dump(source))
    raw = Contract.from_yaml(CONFIG / "panda_avoid.yaml").to_dict()
    if name != "rosbag2":
        for stream in raw["streams"].values():
            stream |= {"rate_hz": 10.0, "max_age_s": 0.3}
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(raw))
    words = [tmp_path / "source.yaml", tmp_path / "again", "--contract", tmp_path / "contract.yaml"]
    assert vdd("dataset", "import", *words, "--data", tmp_path / "e") == 0
    for before, after in zip(episodes_in(own), episodes_in(tmp_path / "again"), strict=True):
        np.testing.assert_array_equal(frames_of(before).state, frames_of(after).state)
        np.testing.assert_array_equal(frames_of(before).command, frames_of(after).command)
        if name != "rosbag2":  # which has no place for it
            assert after.manifest.meta["success"] is before.manifest.meta["success"]


def test_an_export_is_there_whole_or_not_at_all(own, tmp_path, capsys, monkeypatch):
    assert vdd("dataset", "export", own, tmp_path / "missing" / "e", "--format", "rosbag2") == 2
    assert "is no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert vdd("dataset", "export", tmp_path / "empty", tmp_path / "e", "--format", "rosbag2") == 2
    assert "there is no episode in" in capsys.readouterr().err
    monkeypatch.setattr("vdd_ros.datasets.exporting.Description.write", refuse)
    assert vdd("dataset", "export", own, tmp_path / "e", "--format", "lerobot_v3") == 2
    assert "No space left on device), and nothing is kept: mend that" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert vdd("dataset", "export", own, tmp_path / "empty", "--format", "rosbag2") == 2
    assert "exists already" in capsys.readouterr().err


def refuse(self, folder):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("key", "value", "pattern"),
    [
        ("name", "../elsewhere", r"episodes\.0\.name: .*'\.\./elsewhere'"),
        ("name", "episode_0002", "writing .* failed"),
        ("meta", None, r"episodes\.0\.meta"),
    ],
)
def test_a_description_that_was_changed_is_told(own, tmp_path, capsys, key, value, pattern):
    assert vdd("dataset", "export", own, tmp_path / "e", "--format", "robomimic") == 0
    raw = described(tmp_path / "e")
    raw["episodes"][0][key] = value
    (tmp_path / "e" / "vdd_ros.json").write_text(json.dumps(raw))
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 2
    assert re.search(pattern, capsys.readouterr().err.splitlines()[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e"]


def test_an_exported_folder_without_its_description_needs_a_declaration(own, tmp_path, capsys):
    assert vdd("dataset", "export", own, tmp_path / "e", "--format", "rosbag2", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["recording"] for one in told["episodes"]] == ["episode_0001", "episode_0002"]
    (tmp_path / "e" / "vdd_ros.json").unlink()
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 2
    assert "has no vdd_ros.json" in capsys.readouterr().err


def test_lerobots_own_class_reads_what_was_written(own, tmp_path):
    pytest.importorskip("lerobot", reason="LeRobot is not installed: docs/data.md tells how")
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    assert vdd("dataset", "export", own, tmp_path / "e", "--format", "lerobot_v3") == 0
    dataset = LeRobotDataset("local/own", root=tmp_path / "e")
    frames = [frames_of(episode) for episode in episodes_in(own)]
    assert (dataset.num_episodes, dataset.num_frames) == (2, sum(map(len, frames)))
    rows = [dataset[at] for at in range(dataset.num_frames)]
    command = np.concatenate([one.command for one in frames]).astype(np.float32)
    np.testing.assert_array_equal(np.stack([row["action"] for row in rows]), command)
    assert rows[0]["task"] == "move the arm about"
