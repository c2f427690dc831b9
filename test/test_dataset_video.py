"""Videos of LeRobot datasets: the same pictures at the same times, or one sentence."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from exported_data import described, episodes_in, vdd
from pyarrow import parquet
from seeing import record_seen, seeing
from test_dataset_lerobot_v3 import edit, info

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.datasets.description import Description
from vdd_ros.datasets.frames import frames_of
from vdd_ros.datasets.importing import FIRST_STAMP_NS
from vdd_ros.episode import EpisodeStore
from vdd_ros.image_fit import fitted
from vdd_ros.policies.stored_windows import open_windows

CAMERAS = ("front", "wrist")
KEY = "observation.images.{}"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.front/chunk-000/file-000.mp4"
NEAR = {"av1": 8.0, "h264": 8.0}  # mean difference of a picture's grey levels, of the worst


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "episodes"
    for seconds in (1.0, 1.5):
        record_seen(seeing(), folder, seconds)
    return folder


@pytest.fixture(scope="module")
def exported(own) -> dict[str, Path]:
    """A dataset by codec."""
    folders = {}
    for codec in ("av1", "h264"):
        folders[codec] = own.parent / codec
        words = [own, folders[codec], "--format", "lerobot_v3", "--allow-failed"]
        assert vdd("dataset", "export", *words, "--video", codec) == 0
    return folders


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("codec", ["av1", "h264"])
def test_pictures_of_a_video_are_those_that_frames_showed(own, exported, tmp_path, codec):
    assert vdd("dataset", "import", exported[codec], tmp_path / "again") == 0
    for before, after in zip(episodes_in(own), episodes_in(tmp_path / "again"), strict=True):
        frames = frames_of(before, CAMERAS)
        assert "not_read" not in after.manifest.meta
        for name in CAMERAS:
            shown, images = before.images(name), after.images(name)
            expected = FIRST_STAMP_NS + np.arange(len(frames)) * after.contract.policy_period_ns
            assert images.stamps_ns.tolist() == images.received_ns.tolist() == expected.tolist()
            pixels = [images[at].pixels for at in range(len(images))]
            numbers = frames.pictures[name].tolist()
            own_apart = [
                apart(shown[number].pixels, one)
                for number, one in zip(numbers, pixels, strict=True)
            ]
            next_apart = [
                apart(shown[number].pixels, one)
                for number, one in zip(numbers[1:], pixels, strict=False)
            ]
            assert max(own_apart) < NEAR[codec] < min(next_apart)
        ticks = [FIRST_STAMP_NS + at * after.contract.policy_period_ns for at in range(len(frames))]
        joints = after.streams["joint_state"]
        assert joints.stamps_ns.tolist() == ticks


@pytest.mark.parametrize("codec", ["av1", "h264"])
def test_the_layout_is_that_of_lerobot_v3(exported, codec):
    folder = exported[codec]
    told = json.loads((folder / "meta/info.json").read_text())
    rows = parquet.read_table(folder / EPISODES).to_pylist()
    pattern = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    assert told["video_path"] == pattern
    assert not [name for name in parquet.read_schema(next(folder.glob("data/*/*"))).names
                if "images" in name]  # fmt: skip
    for name in CAMERAS:
        key = KEY.format(name)
        feature = told["features"][key]
        assert (feature["dtype"], feature["shape"]) == ("video", [60, 80, 3])
        assert (
            feature["info"]["video.codec"] == codec and feature["info"]["video.fps"] == told["fps"]
        )
        ends = 0.0
        for row in rows:
            begins = row[f"videos/{key}/from_timestamp"]
            assert begins == ends
            ends = row[f"videos/{key}/to_timestamp"]
            assert ends - begins == pytest.approx(row["length"] / told["fps"])
            numbers = {one: row[f"videos/{key}/{one}"] for one in ("chunk_index", "file_index")}
            with av.open(str(folder / pattern.format(video_key=key, **numbers))) as file:
                stream = file.streams.video[0]
                assert stream.average_rate == told["fps"] and stream.pix_fmt == "yuv420p"
        assert (
            f"what {codec} leaves out of the pictures of camera {name}" in described(folder)["lost"]
        )


def test_a_training_sees_them_like_recorded_ones(exported, tmp_path):
    assert vdd("dataset", "import", exported["h264"], tmp_path / "again") == 0
    contract = episodes_in(tmp_path / "again")[0].contract
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(contract.to_dict()))
    words = ["train", "--episodes", tmp_path / "again", "--out", tmp_path / "run", "--contract",
             tmp_path / "contract.yaml", "--held-out", "1", "--cache", tmp_path / "cache",
             "--teacher.width", "16", "--teacher.blocks", "1", "--encoder.channels", "4",
             "--encoder.stages", "1", "--training.steps", "2", "--training.batch-size", "4",
             "--failures"]  # fmt: skip
    assert vdd(*words) == 0
    assert (tmp_path / "run" / "pictures.safetensors").exists()
    pictures = open_windows(tmp_path / "run", held_out=False).pictures
    images = EpisodeStore(tmp_path / "again", contract).load("episode_0001").images("wrist")
    seen = [fitted(one.pixels, contract.cameras["wrist"], contract.images[1]) for one in images]
    # without a delay, a frame sees the picture that was taken with it
    np.testing.assert_array_equal(pictures.pixels(1), seen)


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def spoilt(path: Path) -> None:
    """Bytes of pictures that are others, in a file whose table is whole."""
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    rng = np.random.default_rng(0)
    for at in rng.integers(begin + 200, begin + (len(data) - begin) // 2, 300):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))


def made(path: Path, count: int, rate_hz: int = 10, width: int = 80, height: int = 60) -> None:
    """Another video in its place."""
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(rate_hz))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            pixels = np.full((height, width, 3), 9 * (number % 20), np.uint8)
            pixels[:, : width // 2] = 200
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate_hz)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


FRONT = f"videos__{KEY.format('front')}__"
FAULTS = {
    "missing": (lambda d: (d / VIDEO).unlink(), r"file-000\.mp4 is missing"),
    "cut off": (lambda d: cut(d / VIDEO, 0.6), r"file-000\.mp4 is not a video that can be read"),
    "empty": (lambda d: (d / VIDEO).write_bytes(b""), "is not a video that can be read"),
    "a text": (lambda d: (d / VIDEO).write_text("#EXTM3U\n/etc/passwd\n"), "is not a video that"),
    "a pointer": (
        lambda d: (d / VIDEO).write_text("version https://git-lfs.github.com/spec/v1\n"),
        "is a pointer of Git LFS: get the file with `git lfs pull`",
    ),
    "other bytes": (lambda d: spoilt(d / VIDEO), "frame [0-9]+ cannot be decoded|can be read"),
    "too few": (
        lambda d: made(d / VIDEO, 12),
        "has 3 pictures from 0.900 s on, the episode 14 frames",
    ),
    "another rate": (lambda d: made(d / VIDEO, 90, 25), "has 25 pictures a second, fps is 10"),
    "another size": (
        lambda d: made(d / VIDEO, 23, width=64, height=48),
        "its pictures are 64x48, info.json says 80x60",
    ),
    "of another place": (
        lambda d: edit(d / EPISODES, **{f"{FRONT}from_timestamp": lambda rows: [0.0, 0.85],
                                        f"{FRONT}to_timestamp": lambda rows: [0.9, 2.25]}),
        "frame 0 is at 0.850 s, the picture beside it at 0.900 s",
    ),
    "longer than told": (
        lambda d: edit(d / EPISODES, **{f"{FRONT}to_timestamp": lambda rows: [0.9, 2.5]}),
        "which are 16.0 frames at 10 Hz, and that the episode has 14",
    ),
    "no place": (
        lambda d: edit(d / EPISODES, **{f"{FRONT}file_index": None}),
        "row 0: missing 'file_index'",
    ),
    "no pattern": (lambda d: info(d, video_path=None), "video_path None names no file"),
    "file of another number": (
        lambda d: edit(d / EPISODES, **{f"{FRONT}file_index": lambda rows: [0, 4]}),
        r"file-004\.mp4 is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_video_is_told_in_one_sentence_and_nothing_is_left(exported, tmp_path, capsys, fault):
    spoil, pattern = FAULTS[fault]
    shutil.copytree(exported["h264"], tmp_path / "d")
    spoil(tmp_path / "d")
    refused_pictures(tmp_path, tmp_path / "d", capsys, pattern)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_an_av1_video_that_is_cut_or_spoilt_is_told(exported, tmp_path, capsys, share):
    shutil.copytree(exported["av1"], tmp_path / "d")
    cut(tmp_path / "d" / VIDEO, share)
    refused_pictures(tmp_path, tmp_path / "d", capsys, "is not a video that can be read")


def refused_pictures(folder: Path, source: Path, capsys, pattern: str) -> None:
    assert vdd("dataset", "import", source, folder / "episodes") == 2
    said = capsys.readouterr().err.splitlines()
    (sentence,) = [line for line in said if line.startswith("vdd: ")]
    assert re.search(pattern, sentence), sentence
    assert sorted(path.name for path in folder.iterdir()) == ["d"]


def test_a_file_whose_table_is_first_is_told_to_be_cut(exported, tmp_path, capsys):
    """As recorders write them that are to be played while they are loaded."""
    shutil.copytree(exported["h264"], tmp_path / "d")
    path = tmp_path / "d" / VIDEO
    with (
        av.open(str(path)) as old,
        av.open(str(path) + "x", "w", format="mp4", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    Path(str(path) + "x").rename(path)
    cut(path, 0.8)
    pattern = "pictures from 0.900 s on, the episode 14 frames"
    refused_pictures(tmp_path, tmp_path / "d", capsys, pattern)


def declared(folder: Path, dataset: Path, contract: Contract, **changes: object) -> list[object]:
    """Words of an import by a declaration, as of others' data."""
    raw = described(dataset)["source"]
    raw["origin"] |= {"url": "https://example.org", "licence": "MIT"}
    raw["format"] |= changes
    (folder / "source.yaml").write_text(yaml.safe_dump(raw))
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract.to_dict()))
    return ["dataset", "import", folder / "source.yaml", folder / "episodes", "--contract",
            folder / "contract.yaml", "--data", dataset]  # fmt: skip


def reading(dataset: Path, **changes: object) -> Contract:
    """The contract that reads a dataset, with other cameras."""
    raw = Description.read(dataset).reading_contract.to_dict()
    for key, value in changes.items():
        for camera in raw["cameras"].values():
            camera[key] = value
    return Contract.from_dict(raw)


@pytest.mark.parametrize(
    ("camera", "layout", "pattern"),
    [
        ({"rate_hz": 25.0}, {}, "camera front comes at 25 Hz, the dataset has a picture .* 10 a"),
        ({"width": 160}, {}, "pictures of camera front are 80x60, those of .* 160x60"),
        ({}, {"images": {"front": "observation.images.top"}}, "no feature '.*images.top'"),
        ({}, {"images": {"front": "action"}}, "no feature 'action' of pictures for camera front"),
        ({}, {"images": {"top": "observation.images.front"}}, "declares images of camera 'top'"),
    ],
)  # fmt: skip
def test_a_contract_that_does_not_fit_is_told(exported, tmp_path, capsys, camera, layout, pattern):
    words = declared(tmp_path, exported["h264"], reading(exported["h264"], **camera), **layout)
    assert vdd(*words) == 2
    assert re.search(pattern, capsys.readouterr().err)
    assert not (tmp_path / "episodes").exists()


def test_what_is_declared_of_others_is_read(exported, tmp_path):
    """One camera of two: the other's feature is told not to be read."""
    images = {"front": "observation.images.wrist"}
    contract = reading(exported["h264"])
    assert vdd(*declared(tmp_path, exported["h264"], contract, images=images, velocity=None)) == 0
    for episode in episodes_in(tmp_path / "episodes"):
        assert episode.manifest.cameras["front"].count == len(episode.streams["joint_state"])
        assert episode.manifest.cameras["wrist"].count == 0
        assert "observation.images.front" in episode.manifest.meta["not_read"]


def test_a_robot_without_cameras_takes_the_joints_alone(exported, tmp_path):
    raw = reading(exported["h264"]).to_dict()
    raw = {key: value for key, value in raw.items() if key not in ("cameras", "images")}
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(raw))
    words = ["dataset", "import", exported["h264"], tmp_path / "episodes"]
    assert vdd(*words, "--contract", tmp_path / "contract.yaml") == 0
    for episode in episodes_in(tmp_path / "episodes"):
        not_read = episode.manifest.meta["not_read"]
        assert {KEY.format(name) for name in CAMERAS} <= set(not_read)


def test_odd_sizes_have_no_video(tmp_path, capsys):
    record_seen(seeing([], front={"topic": "f", "type": "sensor_msgs/msg/Image", "encoding": "rgb8",
                       "width": 81, "height": 60, "rate_hz": 30, "max_age_s": 0.2, "timeline":
                       "header", "frame": "front_optical"}), tmp_path / "own")  # fmt: skip
    words = ["dataset", "export", tmp_path / "own", tmp_path / "e", "--format", "lerobot_v3"]
    assert vdd(*words, "--video", "h264", "--allow-failed") == 2
    assert "81x60 cannot become yuv420p video" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()


MEASURED = """
import resource, sys
from pathlib import Path
from vdd_ros.datasets.video import Video
for name, count in (("short", 20), ("long", int(sys.argv[2]))):
    video = Video(Path(sys.argv[1]) / f"{name}.mp4", 320, 240, 10, 0.0, count, True)
    video.require_whole()
    assert sum(1 for _ in video) == count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_long_video_takes_no_more_memory_than_a_short_one(tmp_path):
    """Decoded at once its pictures would take 138 MiB."""
    count = 600
    for name, frames in (("short", 20), ("long", count)):
        made(tmp_path / f"{name}.mp4", frames, width=320, height=240)
    command = [sys.executable, "-c", MEASURED, str(tmp_path), str(count)]
    root = Path(cli.__file__).parents[1]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
    short_kb, long_kb = map(int, told.split())
    whole_kb = count * 320 * 240 * 3 // 1024
    assert long_kb - short_kb < 0.1 * whole_kb
