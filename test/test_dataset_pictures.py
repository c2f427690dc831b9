"""Pictures in LeRobot's frames: the right one of each, without loss, few in memory at a time."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pyarrow as arrow
import pytest
from exported_data import described, episodes_in, vdd
from pictures import HEIGHT, RATE_HZ, WIDTH, camera, contract_with, end_of, recorded, scene
from PIL import Image
from pyarrow import parquet
from recordings import SECOND

from vdd_ros.cdr import image_cdr
from vdd_ros.datasets import parquet_files, write_lerobot
from vdd_ros.datasets.frame_pictures import newest_numbers, statistics_of_levels
from vdd_ros.datasets.frames import frames_of

CAMERAS = {
    "front": camera("front"),
    "wrist": camera("wrist", "jpeg"),
    "side": camera("side", "png"),
}
KEY = "observation.images.{}"


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Two episodes with three cameras: raw, JPEG and PNG; the first pictures come late."""
    folder = tmp_path_factory.mktemp("pictures") / "episodes"

    def late(one, time_ns):
        return (
            None if time_ns < SECOND + 250_000_000 else image_cdr(one, scene(one, time_ns), time_ns)
        )

    recorded(contract_with(CAMERAS), folder, 1.0).save(end_of(1.0))
    recorded(contract_with(CAMERAS), folder, 1.5, wrist=late).save(end_of(1.5))
    return folder


def export(folder: Path, out: Path, *words: object) -> int:
    words = (folder, out, "--format", "lerobot_v3", "--images", "--allow-failed", *words)
    return vdd("dataset", "export", *words)


def rows_of(folder: Path) -> list[dict]:
    files = sorted(folder.glob("data/*/*.parquet"))
    return [row for file in files for row in parquet.read_table(file).to_pylist()]


def pixels_of(cell: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(cell["bytes"])))


def test_each_frame_has_the_newest_picture_that_was_known_bit_for_bit(own, tmp_path):
    assert export(own, tmp_path / "e") == 0
    rows = rows_of(tmp_path / "e")
    at = 0
    for index, episode in enumerate(episodes_in(own)):
        frames = frames_of(episode, tuple(CAMERAS))
        for tick_ns in frames.ticks_ns.tolist():
            assert rows[at]["episode_index"] == index
            for name in CAMERAS:
                images = episode.images(name)
                known = [
                    number
                    for number in range(len(images))
                    if max(images.stamps_ns[number], images.received_ns[number]) <= tick_ns
                ]
                newest = max(known, key=lambda number: images.stamps_ns[number])
                cell = rows[at][KEY.format(name)]
                np.testing.assert_array_equal(pixels_of(cell), images[newest].pixels)
                assert cell["path"] is None
            at += 1
    assert at == len(rows)
    first, late = (frames_of(episode, tuple(CAMERAS)) for episode in episodes_in(own))
    # pictures are received 5 ms after they were taken, those of `late` from 0.27 s on
    assert (first.ticks_ns[0] - SECOND, late.ticks_ns[0] - SECOND) == (100_600_000, 300_600_000)


def test_jpegs_stay_as_they_came_and_what_is_raw_becomes_png(own, tmp_path):
    assert export(own, tmp_path / "e") == 0
    kinds = {name: {row[KEY.format(name)]["bytes"][:4] for row in rows_of(tmp_path / "e")}
             for name in CAMERAS}  # fmt: skip
    assert kinds["front"] == kinds["side"] == {b"\x89PNG"}
    assert {start[:3] for start in kinds["wrist"]} == {b"\xff\xd8\xff"}


def test_features_and_statistics_are_as_lerobot_has_them(own, tmp_path):
    assert export(own, tmp_path / "e") == 0
    info = json.loads((tmp_path / "e/meta/info.json").read_text())
    stats = json.loads((tmp_path / "e/meta/stats.json").read_text())
    listed = parquet.read_table(tmp_path / "e/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    rows = rows_of(tmp_path / "e")
    for name in CAMERAS:
        key = KEY.format(name)
        assert info["features"][key] == {
            "dtype": "image",
            "shape": [HEIGHT, WIDTH, 3],
            "names": ["height", "width", "channels"],
        }
        pixels = np.stack([pixels_of(row[key]) for row in rows]) / 255.0
        assert np.shape(stats[key]["mean"]) == (3, 1, 1) and stats[key]["count"] == [len(rows)]
        for which, made in (("mean", pixels.mean), ("min", pixels.min), ("max", pixels.max)):
            np.testing.assert_allclose(np.ravel(stats[key][which]), made((0, 1, 2)), rtol=1e-12)
        np.testing.assert_allclose(np.ravel(stats[key]["std"]), pixels.std((0, 1, 2)), rtol=1e-12)
        first = pixels[: listed[0]["length"]]
        for which, share in (("q01", 0.01), ("q50", 0.5), ("q90", 0.9)):
            np.testing.assert_allclose(
                np.ravel(listed[0][f"stats/{key}/{which}"]), np.quantile(first, share, (0, 1, 2))
            )
    lost = described(tmp_path / "e")["lost"]
    assert sum(clause.startswith("what camera") for clause in lost) == len(CAMERAS)


def test_quantiles_of_levels_are_numpys():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 101)) // rng.integers(1, 40, (3, 1))
    levels = np.stack([np.bincount(row, minlength=256) for row in pixels])
    found = statistics_of_levels(levels, 1)
    expected = np.quantile(pixels / 255.0, (0.01, 0.1, 0.5, 0.9, 0.99), axis=1)
    np.testing.assert_allclose(found.quantiles, expected, atol=1e-12)


def test_pictures_that_overtake_each_other_show_the_newest_stamp(own):
    episode = episodes_in(own)[0]
    images = episode.images("front")
    images.stamps_ns = images.taken_ns = np.array([10, 30, 20, 40])
    images.received_ns = np.array([15, 35, 36, 38])
    found = newest_numbers(images, np.array([9, 14, 15, 34, 35, 37, 39, 40]))
    assert found.tolist() == [-1, -1, 0, 0, 1, 1, 1, 3]


def test_a_picture_that_cannot_be_read_is_told_and_an_older_one_shown(tmp_path):
    def torn(one, time_ns):
        data = image_cdr(one, scene(one, time_ns), time_ns)
        is_torn = time_ns == SECOND + 11 * SECOND // RATE_HZ
        return data[: len(data) // 2] if is_torn else data

    contract = contract_with({"front": camera("front")})
    recorded(contract, tmp_path / "own", 1.0, front=torn).save(end_of(1.0))
    assert export(tmp_path / "own", tmp_path / "e") == 0
    episode = episodes_in(tmp_path / "own")[0]
    frames, images = frames_of(episode, ("front",)), episode.images("front")
    shown = frames.pictures["front"].tolist()
    assert 11 in shown
    cell = rows_of(tmp_path / "e")[shown.index(11)][KEY.format("front")]
    np.testing.assert_array_equal(pixels_of(cell), images[10].pixels)
    assert "camera front: 1 that cannot be read" in described(tmp_path / "e")["lost"]


def test_pictures_are_in_memory_a_few_at_a_time(own, tmp_path, monkeypatch):
    """Written a frame at a time there is a part for each, with the same rows."""
    assert export(own, tmp_path / "whole") == 0
    monkeypatch.setattr(write_lerobot, "PICTURE_BYTES", 1)
    assert export(own, tmp_path / "parts") == 0
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "parts")
    (path,) = (tmp_path / "parts").glob("data/*/*.parquet")
    assert parquet.read_metadata(path).num_row_groups == len(rows_of(tmp_path / "parts"))


def test_files_stay_below_their_size(own, tmp_path, monkeypatch):
    assert export(own, tmp_path / "one") == 0
    (path,) = (tmp_path / "one").glob("data/*/*.parquet")
    monkeypatch.setattr(parquet_files, "MIB", path.stat().st_size // 100)
    assert export(own, tmp_path / "two", "--file-mb", 70) == 0
    files = sorted((tmp_path / "two").glob("data/*/*.parquet"))
    assert len(files) == 2 and all(file.stat().st_size < 70 * parquet_files.MIB for file in files)
    assert rows_of(tmp_path / "two") == rows_of(tmp_path / "one")


def test_an_import_reads_them_again_bit_for_bit_and_keeps_the_files_of_cameras(own, tmp_path):
    assert export(own, tmp_path / "e") == 0
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 0
    for before, after in zip(episodes_in(own), episodes_in(tmp_path / "again"), strict=True):
        frames = frames_of(before, tuple(CAMERAS))
        np.testing.assert_allclose(frames_of(after).state, frames.state, atol=1e-6)
        assert "not_read" not in after.manifest.meta
        for name in CAMERAS:
            shown, images = before.images(name), after.images(name)
            numbers = frames.pictures[name].tolist()
            assert len(images) == len(numbers)
            for at, number in enumerate(numbers):
                np.testing.assert_array_equal(images[at].pixels, shown[number].pixels)
                if name != "front":
                    assert images.message(at)[-500:] == shown.message(number)[-500:]


def test_robomimic_s_file_has_them_bit_for_bit_and_is_read_again(own, tmp_path):
    words = ["dataset", "export", own, tmp_path / "e", "--format", "robomimic", "--images"]
    assert vdd(*words, "--allow-failed") == 0
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 0
    pairs = zip(episodes_in(own), episodes_in(tmp_path / "again"), strict=True)
    with h5py.File(tmp_path / "e" / "demonstrations.hdf5") as file:
        for number, (before, after) in enumerate(pairs):
            frames = frames_of(before, tuple(CAMERAS))
            assert "not_read" not in after.manifest.meta
            for name in CAMERAS:
                pixels = file[f"data/demo_{number}/obs/{name}_image"]
                assert pixels.dtype == np.uint8 and pixels.chunks == (1, HEIGHT, WIDTH, 3)
                shown, images = before.images(name), after.images(name)
                for at, index in enumerate(frames.pictures[name].tolist()):
                    np.testing.assert_array_equal(pixels[at], shown[index].pixels)
                if name != "wrist":  # which becomes JPEG again
                    np.testing.assert_array_equal(images[3].pixels, pixels[3])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda old: old[:-1], "obs/wrist_image has .* pictures, others have"),
        (lambda old: old.astype(np.float32), "obs/wrist_image is float32 .* pictures are bytes"),
        (lambda old: old[:, ::2], f"of camera wrist are {WIDTH}x{HEIGHT // 2}, those of"),
        (None, "lacks 'obs/wrist_image'"),
    ],
)
def test_arrays_of_robomimic_that_are_no_such_pictures_are_told(
    own, tmp_path, capsys, change, sentence
):
    words = ["dataset", "export", own, tmp_path / "e", "--format", "robomimic", "--images"]
    assert vdd(*words, "--allow-failed") == 0
    with h5py.File(tmp_path / "e" / "demonstrations.hdf5", "r+") as file:
        old = file["data/demo_1/obs/wrist_image"][()]
        del file["data/demo_1/obs/wrist_image"]
        if change is not None:
            file["data/demo_1/obs/wrist_image"] = change(old)
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert [one.name for one in tmp_path.iterdir()] == ["e"]


def spoil(path: Path, row: int, change) -> None:
    """What a function makes of the bytes of one picture."""
    table = parquet.read_table(path)
    key = KEY.format("wrist")
    cells = table[key].to_pylist()
    cells[row] = change(cells[row])
    place = table.column_names.index(key)
    table = table.set_column(place, key, arrow.array(cells, table.schema.field(key).type))
    parquet.write_table(table, path, row_group_size=5)


def of_size(width: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, HEIGHT)).save(made, "PNG")
    return made.getvalue()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda cell: cell | {"bytes": cell["bytes"][:90]}, "frame 7 in .*wrist cannot be decoded"),
        (lambda cell: cell | {"bytes": b"GIF89a"}, "frame 7 in .*wrist cannot be decoded"),
        (lambda cell: cell | {"bytes": of_size(9)}, f"frame 7 .* is 9x{HEIGHT}, info.json says"),
        (lambda cell: {"bytes": None, "path": "a.png"}, "frame 7 in .*wrist is not in the file"),
        (lambda cell: None, "frame 7 in .*wrist is not in the file"),
    ],
)
def test_a_picture_that_cannot_be_used_ends_the_import(own, tmp_path, capsys, change, sentence):
    assert export(own, tmp_path / "e") == 0
    (path,) = (tmp_path / "e").glob("data/*/*.parquet")
    first = next(at for at, row in enumerate(rows_of(tmp_path / "e")) if row["episode_index"] == 1)
    spoil(path, first + 7, change)
    assert vdd("dataset", "import", tmp_path / "e", tmp_path / "again") == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert [one.name for one in tmp_path.iterdir()] == ["e"]


@pytest.mark.parametrize(
    ("cameras", "words", "sentence"),
    [
        ({}, ["--format", "lerobot_v3"], "no camera has pictures in each of the 1 episodes"),
        ({}, ["--format", "robomimic"], "no camera has pictures in each of the 1 episodes"),
        (CAMERAS, ["--format", "rosbag2"], "rosbag2 has pictures without it"),
    ],
)
def test_what_has_no_pictures_is_told(tmp_path, capsys, cameras, words, sentence):
    if cameras:
        recorded(contract_with(cameras), tmp_path / "own", 0.6).save(end_of(0.6))
    else:
        from recordings import record

        record(tmp_path / "own")
    assert vdd("dataset", "export", tmp_path / "own", tmp_path / "e", *words, "--images") == 2
    said = capsys.readouterr().err
    assert sentence in said.splitlines()[-1] and not (tmp_path / "e").exists()


def test_pictures_that_are_not_as_they_were_saved_are_refused(own, tmp_path, capsys):
    import shutil

    shutil.copytree(own, tmp_path / "own")
    (bag,) = (tmp_path / "own" / "episode_0002").glob("cameras/*.mcap")
    data = bytearray(bag.read_bytes())
    data[len(data) // 2] ^= 1
    bag.write_bytes(data)
    assert export(tmp_path / "own", tmp_path / "e") == 2
    assert "is not the file that was saved" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()
