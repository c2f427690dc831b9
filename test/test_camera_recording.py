"""Pictures in an episode: as they came, durable with the joints, found again after a kill."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil

import numpy as np
import pytest
import yaml
from disks import FULL, full_disk
from pictures import (
    RATE_HZ,
    camera,
    contract_with,
    end_of,
    feed_cameras,
    recorded,
    recorder_with,
    scene,
)
from recordings import SECOND, STARTED, feed

from vdd_ros import episode_pictures
from vdd_ros.bag_mending import mend
from vdd_ros.camera_images import CAMERAS, CameraImages, camera_bag
from vdd_ros.camera_writer import CameraWriter, camera_topics
from vdd_ros.cdr import image_cdr
from vdd_ros.commands.dataset import check, merge, show
from vdd_ros.disk_watch import SMALLEST_FREE_BYTES
from vdd_ros.durable import lock_folder
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import LOG
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary
from vdd_ros.recovery import recover

SEEING = contract_with()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of one episode, and its contract."""
    folder = tmp_path_factory.mktemp("demos")
    recorded(SEEING, folder).save(end_of(1.0))
    return folder


@pytest.fixture
def demos(saved, tmp_path):
    """The same, to be spoilt."""
    return shutil.copytree(saved, tmp_path / "demos")


def test_pictures_are_a_bag_of_their_own_within_the_episode(saved):
    folder = saved / "episode_0001"
    manifest = json.loads((folder / "manifest.json").read_text())
    file = "cameras/episode_0001_cameras_0.mcap"
    assert set(manifest["files"]) == {
        "episode_0001_0.mcap", "metadata.yaml", file, "cameras/metadata.yaml",
    }  # fmt: skip
    assert (
        manifest["files"][file]["sha256"]
        == hashlib.sha256((folder / file).read_bytes()).hexdigest()
    )
    assert manifest["verdict"] == {"level": "PASS", "reasons": []}
    assert {name: one["count"] for name, one in manifest["cameras"].items()} == {
        "front": RATE_HZ, "wrist": RATE_HZ,
    }  # fmt: skip
    told = yaml.safe_load((folder / CAMERAS / "metadata.yaml").read_text())
    told = told["rosbag2_bagfile_information"]
    assert told["relative_file_paths"] == ["episode_0001_cameras_0.mcap"]
    assert [one["message_count"] for one in told["topics_with_message_count"]] == [RATE_HZ] * 2


def test_other_programs_open_the_bag_of_pictures(saved):
    from rosbags.rosbag2 import Reader

    with Reader(saved / "episode_0001" / CAMERAS) as reader:
        found = [connection.topic for connection, _, _ in reader.messages()]
    assert sorted(set(found)) == ["/front/image", "/wrist/image"] and len(found) == 2 * RATE_HZ


def test_pictures_are_read_as_they_came(saved):
    episode = EpisodeStore(saved, SEEING).load("episode_0001")
    front, wrist = episode.images("front"), episode.images("wrist")
    times = SECOND + np.arange(RATE_HZ) * SECOND // RATE_HZ
    for images in (front, wrist):
        np.testing.assert_array_equal(images.stamps_ns, times)
        np.testing.assert_array_equal(images.received_ns, times + 5_000_000)
    for number, picture in enumerate(front):
        np.testing.assert_array_equal(picture.pixels, scene(front.camera, times[number]))
        assert (picture.stamp_ns, picture.received_ns) == (times[number], times[number] + 5_000_000)
    one = wrist.camera
    assert wrist.message(7) == image_cdr(one, scene(one, times[7]), int(times[7]))
    with pytest.raises(UserError, match="no camera 'side' in panda_avoid: there are front, wrist"):
        episode.images("side")


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_chunks_may_be_packed(tmp_path, compression):
    packed = contract_with({"front": camera("front")}, compression=compression)
    recorded(packed, tmp_path).save(end_of(1.0))
    images = EpisodeStore(tmp_path).load("episode_0001").images("front")
    for number in (20, 3):
        stamp_ns = int(images.stamps_ns[number])
        np.testing.assert_array_equal(images[number].pixels, scene(images.camera, stamp_ns))


def test_when_a_picture_was_taken_may_be_when_it_came(tmp_path):
    seeing = contract_with({"front": camera("front", timeline="receive")})
    recorded(seeing, tmp_path).save(end_of(1.0))
    images = EpisodeStore(tmp_path).load("episode_0001").images("front")
    assert images.stamps_ns[0] == images.received_ns[0] == SECOND + 5_000_000


def test_what_a_camera_is_like_is_recorded_beside_its_pictures():
    topics = camera_topics(contract_with({"front": camera("front", camera_info="front/info")}))
    assert [(name, topic.recorded_topic, topic.type) for name, topic in topics.items()] == [
        ("front", "/front/image", "sensor_msgs/msg/Image"),
        ("front.camera_info", "/front/info", "sensor_msgs/msg/CameraInfo"),
    ]


def test_an_episode_without_pictures_says_so(tmp_path):
    from recordings import record

    name = record(tmp_path, seconds=0.1, contract=SEEING)
    with pytest.raises(UserError, match="has no pictures: it was recorded without cameras"):
        EpisodeStore(tmp_path).load(name).images("front")


def test_discarding_leaves_nothing_of_either(tmp_path):
    recorder = recorded(SEEING, tmp_path)
    recorder.discard()
    assert list(tmp_path.iterdir()) == []
    recorder.start(SECOND, STARTED)
    recorder.stop(end_of(0.1))
    recorder.discard()
    assert list(tmp_path.iterdir()) == []


class SmallDisk:
    """A disk of so many bytes that has what lies in a folder, and a clock that nobody sets."""

    def __init__(self, monkeypatch, folder, size: int):
        self.folder, self.size, self.steady_ns = folder, size, 0
        monkeypatch.setattr("vdd_ros.demo_recorder.shutil.disk_usage", lambda _: self)

    @property
    def written(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*.mcap"))

    @property
    def free(self) -> int:
        return self.size - self.written


def test_what_is_left_of_the_disk_counts_both(tmp_path, monkeypatch):
    disk = SmallDisk(monkeypatch, tmp_path, 1 << 30)
    recorder = recorder_with(SEEING, tmp_path, steady_ns=lambda: disk.steady_ns)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 2.0)
    feed_cameras(recorder, SECOND, 2.0)
    recorder.cameras.sync()
    both = [path.stat().st_size for path in tmp_path.rglob("*.mcap")]
    assert len(both) == 2 and min(both) > 10_000
    disk.steady_ns = 2 * SECOND
    room = recorder.room()
    assert room.seconds == pytest.approx((room.free - SMALLEST_FREE_BYTES / 2) * 2.0 / sum(both))


def test_the_faster_pictures_fill_the_disk_the_earlier_it_is_stopped(tmp_path, monkeypatch):
    """With a reserve for joints alone it would go on until pictures of half a second are left."""
    disk = SmallDisk(monkeypatch, tmp_path, 4_000_000)
    recorder = recorder_with(SEEING, tmp_path, least_free=40_000, steady_ns=lambda: disk.steady_ns)
    recorder.start(SECOND, STARTED)
    for tick in range(60):
        feed(recorder, end_of(tick), 1.0)
        feed_cameras(recorder, end_of(tick), 1.0)
        recorder.cameras.sync()
        disk.steady_ns += SECOND
        before = disk.written
        if told := recorder.guard(end_of(tick + 1)):
            break
    assert "the disk is almost full: save it" in told
    a_second = before / (tick + 1)
    assert 8.5 * a_second < disk.free < 11 * a_second, "ten seconds are left, and the endings"
    recorder.save(end_of(tick + 1))
    assert EpisodeStore(tmp_path).load("episode_0001").images("front")[0].pixels.any()
    with pytest.raises(UserError, match="make room first"):
        recorder.start(end_of(tick + 2), STARTED)


@pytest.mark.parametrize("spoil", ["altered", "truncated", "missing"])
def test_a_bag_of_pictures_that_is_not_what_was_saved_is_found(demos, spoil):
    path = camera_bag(demos / "episode_0001", "episode_0001")
    data = path.read_bytes()
    if spoil == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-7] if spoil == "truncated" else data[:5000] + b"?" + data[5001:])
    result = check.main(check.Args(demos))
    assert not result["ok"]
    (row,) = result["episodes"]
    assert row["verdict"] == "BROKEN" and path.name in row["reasons"][0]
    # who learns from joints does not read past pictures
    assert len(EpisodeStore(demos).load("episode_0001").streams["joint_state"]) == 200


def test_counts_of_pictures_are_compared_with_the_manifest(demos):
    assert check.main(check.Args(demos))["episodes"][0]["images"] == 2 * RATE_HZ
    path = demos / "episode_0001" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["cameras"]["wrist"]["count"] -= 1
    path.write_text(json.dumps(manifest))
    (demos / LOG).unlink()  # which would say that this manifest is another one
    (row,) = check.main(check.Args(demos))["episodes"]
    assert "has 30 pictures of wrist, its manifest says 29" in row["reasons"][0]


def test_no_file_of_a_manifest_is_outside_its_episode(demos):
    path = demos / "episode_0001" / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in ("../secret", "/etc/passwd", "cameras/../../x", ".hidden"):
        changed = manifest | {"files": {name: {"bytes": 1, "sha256": ""}}}
        path.write_text(json.dumps(changed))
        with pytest.raises(UserError, match="should match pattern"):
            EpisodeStore(demos).manifest("episode_0001")


def test_merged_episodes_keep_their_pictures(demos, tmp_path, capsys):
    merge.main(merge.Args((demos,), tmp_path / "all"))
    assert check.main(check.Args(tmp_path / "all"))["ok"]
    episode = EpisodeStore(tmp_path / "all").load("a_episode_0001")
    assert len(episode.images("front")) == RATE_HZ
    page = tmp_path / "page.html"
    show.main(show.Args(tmp_path / "all", ("a_episode_0001",), page))
    assert "wrist" in capsys.readouterr().out
    assert page.read_text().count("<figcaption><b>front</b> 30 pictures") == 1


# Of what `killed` wrote, all that was brought to the disk, or one more where a chunk just ended.
HELD = (4 * RATE_HZ, 4 * RATE_HZ + 1)


def killed(folder, seconds: float = 2.0):
    """What a recorder that was killed leaves: nobody finished anything."""
    recorder = recorded(SEEING, folder, seconds)
    recorder.cameras.sync()
    feed_cameras(recorder, end_of(seconds), 0.1)  # in a chunk that was never written
    recorder._files.bag.abort()
    recorder.cameras.abort()
    recorder._files.let_go()
    return folder / f".part-{recorder.name}"


def test_after_a_kill_both_bags_are_set_aside_as_far_as_they_are_readable(tmp_path):
    killed(tmp_path)
    (left,) = recover(tmp_path)
    assert left.images in HELD and left.messages > 700
    assert f"messages and {left.images} of cameras are kept in" in str(left)
    images = CameraImages(camera_bag(left.path, left.name), SEEING, "front")
    stamp_ns = int(images.stamps_ns[-1])
    assert end_of(2.0) - SECOND // 20 < stamp_ns <= end_of(2.0)
    np.testing.assert_array_equal(images[-1].pixels, scene(images.camera, stamp_ns))
    assert (left.path / CAMERAS / "metadata.yaml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [".quarantine"]
    assert recover(tmp_path) == []


@pytest.mark.parametrize("moment", ["mended", "joints set aside", "moved"])
def test_a_recovery_that_is_killed_itself_loses_no_pictures(tmp_path, moment):
    part = killed(tmp_path)
    before = shutil.copytree(part, tmp_path / "before")
    (left,) = recover(tmp_path)
    shutil.copytree(before, part)
    if moment == "mended":
        shutil.rmtree(left.path)
        mend(camera_bag(part, left.name))
    elif moment == "joints set aside":
        shutil.rmtree(left.path / CAMERAS)
    else:
        shutil.rmtree(part / CAMERAS)
    (again,) = recover(tmp_path)
    images = CameraImages(camera_bag(again.path, left.name), SEEING, "wrist")
    assert len(images) == 2 * RATE_HZ and not part.exists()


def test_pictures_that_are_still_being_written_are_not_touched(tmp_path, monkeypatch):
    part = killed(tmp_path)
    held = lock_folder(part / CAMERAS)
    monkeypatch.setattr("vdd_ros.recovery.PATIENCE_S", 0.0)
    (left,) = recover(tmp_path)
    assert left.path == part and "its pictures are still being written" in str(left)
    os.close(held)
    (left,) = recover(tmp_path)
    assert left.images in HELD


def test_a_bag_is_mended_wherever_it_was_cut_off(tmp_path):
    """All of whole chunks is there again, and the file is one that others open."""
    from mcap.reader import make_reader

    recorder = recorder_with(SEEING, tmp_path)
    recorder.start(SECOND, STARTED)
    whole = []  # size, and messages up to there
    for tick in range(3):
        feed_cameras(recorder, end_of(0.1 * tick), 0.1)
        recorder.cameras.sync()
        whole.append((recorder.cameras._bag.path.stat().st_size, 6 * (tick + 1)))
    path = recorder.cameras._bag.path
    data = path.read_bytes()
    recorder.discard()
    cuts = [len(data), len(data) - 1, len(data) - 60, *range(whole[0][0], len(data), 7001)]
    for cut in cuts:
        path = tmp_path / "cut.mcap"
        path.write_bytes(data[:cut])
        mended = mend(path)
        least = max(count for size, count in whole if size <= cut)
        assert mended.damage is not None and mended.messages >= least
        with path.open("rb") as file:
            summary = make_reader(file, validate_crcs=True).get_summary()
            found = list(make_reader(file, validate_crcs=True).iter_messages())
        assert summary.statistics.message_count == mended.messages == len(found)
        assert sum(mended.counts.values()) == len(found)
        assert path.read_bytes()[: whole[0][0]] == data[: whole[0][0]], (
            "what was there is untouched"
        )
        assert mend(path) == mended._replace(damage=None), "mending twice changes nothing"


def test_what_holds_nothing_cannot_be_mended(tmp_path):
    path = tmp_path / "x.mcap"
    for rubbish in (b"", b"rubbish", b"\x89MCAP0\r\n" + bytes(100)):
        path.write_bytes(rubbish)
        assert mend(path).contract is None and path.read_bytes() == rubbish


def test_a_chunk_that_says_it_is_enormous_is_not_unpacked(tmp_path):
    packed = contract_with({"front": camera("front")}, compression="zstd")
    recorded(packed, tmp_path).save(end_of(1.0))
    path = camera_bag(tmp_path / "episode_0001", "episode_0001")
    data = bytearray(path.read_bytes())
    images = CameraImages(path, packed, "front")
    place = images._chunks[0].chunk_start_offset + 9 + 16  # what its records are unpacked
    data[place : place + 8] = (1 << 40).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="would uncompress to 1099511627776"):
        CameraImages(path, packed, "front")


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_damage_anywhere_ends_in_one_sentence(tmp_path, compression):
    seeing = contract_with({"front": camera("front")}, compression=compression)
    recorded(seeing, tmp_path, 0.5).save(end_of(0.5))
    data = camera_bag(tmp_path / "episode_0001", "episode_0001").read_bytes()
    path, rng = tmp_path / "damaged.mcap", np.random.default_rng(1)
    found = set()
    for trial in range(150):
        damaged = bytearray(data)
        # half of the damage to tables, which are at the end
        place = int(rng.integers(len(data) - 3000 if trial % 2 else 0, len(data)))
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            images = CameraImages(path, seeing, "front")
            found |= {len(images.picture(number).pixels) for number in range(0, len(images), 5)}
        except UserError as error:
            found.add("told")
            assert "\n" not in str(error)
        mend(path)
    assert {24, "told"} <= found


def test_a_message_that_reaches_beyond_its_chunk_is_not_read(demos):
    path = camera_bag(demos / "episode_0001", "episode_0001")
    images = CameraImages(path, SEEING, "front")
    chunk, place = images._places[0]
    place += images._chunks[chunk].chunk_start_offset + 9 + 40 + 1  # how long the message is
    data = bytearray(path.read_bytes())
    for length in (1 << 50, 3):
        data[place : place + 8] = length.to_bytes(8, "little")
        path.write_bytes(data)
        with pytest.raises(UserError, match="a message reaches beyond its chunk"):
            images.message(0)


def test_a_disk_that_takes_no_more_pictures_ends_them_and_not_the_joints(tmp_path, monkeypatch):
    recorder = recorded(SEEING, tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    recorder.cameras.sync()
    monkeypatch.setattr(recorder.cameras._bag, "write", full)
    feed(recorder, end_of(1.0), 1.0)
    feed_cameras(recorder, end_of(1.0), 1.0)
    told = recorder.stop(end_of(2.0))
    why = "images are missing from 0.97 s on: writing failed: No space left on device (FAIL)"
    assert why in told and "front was silent for 1.0" in told
    recorder.save(end_of(2.0))
    assert check.main(check.Args(tmp_path))["episodes"][0]["images"] == 2 * RATE_HZ
    assert recorder.start(end_of(3.0), STARTED) == "recording episode_0002", "the next is a new one"


BROKEN = OSError(5, "Input/output error")


def saved_without_images(folder) -> list[str]:
    """The reasons of the verdict of the only episode, which has whole joints and no images."""
    episode = EpisodeStore(folder).load("episode_0001")
    manifest = episode.manifest
    assert len(episode.streams["joint_state"]) == 200
    assert manifest.verdict.level == "FAIL" and manifest.cameras == {}
    assert manifest.camera_file is None and set(manifest.files) == {
        "episode_0001_0.mcap", "metadata.yaml",
    }  # fmt: skip
    assert not (folder / "episode_0001" / CAMERAS).exists()
    aside = folder / ".quarantine" / "episode_0001_cameras"
    assert list(aside.glob("*.mcap")), "what there is of them is kept"
    with pytest.raises(UserError, match="has no pictures"):
        episode.images("front")
    reason = f"it has no images: Input/output error; what is there lies in {aside} (FAIL)"
    assert reason in manifest.verdict.reasons
    return list(manifest.verdict.reasons)


def test_joints_are_saved_though_pictures_cannot_be_read_back(tmp_path, monkeypatch):
    recorder = recorded(SEEING, tmp_path)
    recorder.cameras._fault = "writing failed: Input/output error"

    def broken(_):
        raise BROKEN

    monkeypatch.setattr("vdd_ros.camera_judgement.mend", broken)
    assert "it has no images: Input/output error" in recorder.stop(end_of(1.0))
    recorder.save(end_of(1.0))
    saved_without_images(tmp_path)
    assert recover(tmp_path) == [], "it is saved, and nothing is left to recover"
    assert recorder.start(end_of(2.0), STARTED) == "recording episode_0002"


@pytest.mark.parametrize("fault", ["sum", "sync"])
def test_joints_are_saved_though_pictures_do_not_get_to_the_disk(tmp_path, monkeypatch, fault):
    recorder = recorded(SEEING, tmp_path)
    assert recorder.stop(end_of(1.0)).endswith("PASS")
    monkeypatch.setattr(recorder.cameras, "summary", lambda: None)
    real_sync, real_sum = episode_pictures.sync_folder, FileSummary.of

    def sync(folder):
        if fault == "sync" and folder.name == CAMERAS:
            raise BROKEN
        real_sync(folder)

    def sum_of(path):
        if fault == "sum" and path.parent.name == CAMERAS:
            raise BROKEN
        return real_sum(path)

    monkeypatch.setattr(episode_pictures, "sync_folder", sync)
    monkeypatch.setattr(FileSummary, "of", sum_of)
    told = recorder.save(end_of(1.0))
    assert told.startswith(f"saved {tmp_path / 'episode_0001'}, FAIL: it has no images")
    monkeypatch.undo()
    assert len(saved_without_images(tmp_path)) == 1
    assert check.main(check.Args(tmp_path))["episodes"][0]["verdict"] == "FAIL"


def unreadable(_):
    raise BROKEN


def test_pictures_that_fail_again_after_a_discard_do_not_keep_joints_from_being_saved(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("vdd_ros.camera_judgement.mend", unreadable)
    recorder = recorder_with(SEEING, tmp_path)
    for fate in ("discard", "save"):
        recorder.start(SECOND, STARTED)
        feed(recorder, SECOND, 1.0)
        feed_cameras(recorder, SECOND, 1.0)
        recorder.cameras._fault = "writing failed: Input/output error"
        assert "it has no images" in recorder.stop(end_of(1.0))
        if fate == "discard":
            recorder.discard()
            assert list((tmp_path / ".quarantine").iterdir()) == [], "nothing is left of either"
    recorder.save(end_of(1.0))
    saved_without_images(tmp_path)


def test_a_name_whose_pictures_alone_were_set_aside_is_not_used_again(tmp_path):
    (tmp_path / ".quarantine" / "episode_0004_cameras").mkdir(parents=True)
    (tmp_path / ".quarantine" / "episode_0006_cameras.2").mkdir()
    assert recorder_with(SEEING, tmp_path).start(SECOND, STARTED) == "recording episode_0007"


@pytest.mark.parametrize("hindered", ["by a name that is taken", "by the disk"])
def test_joints_are_saved_though_pictures_cannot_even_be_set_aside(tmp_path, monkeypatch, hindered):
    recorder = recorded(SEEING, tmp_path)
    recorder.cameras._fault = "writing failed: Input/output error"
    monkeypatch.setattr("vdd_ros.camera_judgement.mend", unreadable)
    if hindered == "by the disk":
        monkeypatch.setattr("vdd_ros.camera_judgement.make_folder", unreadable)
    else:
        (tmp_path / ".quarantine" / "episode_0001_cameras" / "x").mkdir(parents=True)
    told = recorder.stop(end_of(1.0))
    assert "it has no images: Input/output error; what is there" in told
    recorder.save(end_of(1.0))
    episode = EpisodeStore(tmp_path).load("episode_0001")
    assert len(episode.streams["joint_state"]) == 200 and episode.manifest.camera_file is None
    aside = tmp_path / ".quarantine" / "episode_0001_cameras.2"
    kept_in = tmp_path / "episode_0001" / CAMERAS if hindered == "by the disk" else aside
    assert list(kept_in.glob("*.mcap")), "what there is of them is kept"
    assert check.main(check.Args(tmp_path))["episodes"][0]["verdict"] == "FAIL"


def test_a_checksum_that_nobody_tells_is_made_by_who_saves(tmp_path):
    recorder = recorded(SEEING, tmp_path)
    recorder.stop(end_of(1.0))
    told = recorder.cameras.summary()
    recorder.cameras.summary = lambda: None
    recorder.save(end_of(1.0))
    files = EpisodeStore(tmp_path).manifest("episode_0001").files
    assert files["cameras/episode_0001_cameras_0.mcap"] == told


def test_pictures_that_cannot_begin_leave_no_recording(tmp_path):
    recorder = recorder_with(SEEING, tmp_path)

    def refuse(*_):
        raise UserError("not ready")

    recorder.cameras.start = refuse
    for _ in range(2):
        with pytest.raises(UserError, match="not ready"):
            recorder.start(SECOND, STARTED)
        assert list(tmp_path.iterdir()) == []


def test_a_writer_outside_a_recording_only_counts():
    writer = CameraWriter(SEEING)
    one = SEEING.cameras["front"]
    for tick in itertools.islice(itertools.count(), 3):
        writer.add("front", image_cdr(one, scene(one, tick), tick), tick)
    writer.add_lost("front", 2)
    assert writer.received["front"] == 3 and writer.stop() == ({}, None, {})


def writing(folder) -> CameraWriter:
    """In the midst of a recording."""
    writer = CameraWriter(SEEING)
    folder.mkdir()
    writer.start(folder, "episode_0001")
    show_one(writer, 1)
    return writer


def show_one(writer: CameraWriter, tick: int) -> None:
    one = SEEING.cameras["front"]
    writer.add("front", image_cdr(one, scene(one, tick), tick), tick)


@pytest.mark.parametrize("when", ["a chunk is written", "it is brought to the disk", "it ends"])
def test_a_full_disk_ends_the_pictures_of_one_recording(tmp_path, when):
    """Whenever it is noticed; the process goes on, and so does the next recording."""
    writer = writing(tmp_path / "first")
    fault = f"writing failed: {FULL}"
    with full_disk():
        if when == "a chunk is written":
            show_one(writer, SECOND)
            assert writer.fault == fault
        else:
            show_one(writer, 2)
            assert writer.fault is None
        if when == "it is brought to the disk":
            writer.sync()
            assert writer.fault == fault
        if when != "it ends":  # nothing is tried again
            show_one(writer, 2 * SECOND)
            writer.sync()
        assert writer.stop().fault == fault
    assert writer.received["front"] == (2 if when == "it ends" else 3)
    assert writer.summary() is None
    (tmp_path / "second").mkdir()
    writer.start(tmp_path / "second", "episode_0002")
    show_one(writer, 4)
    assert writer.stop().fault is None and writer.summary() is not None


def test_a_bag_that_cannot_begin_leaves_its_folder_to_others(tmp_path):
    with full_disk(1024), pytest.raises(OSError, match=FULL):
        writing(tmp_path / "part")
    lock = lock_folder(tmp_path / "part" / CAMERAS)
    assert lock is not None
    os.close(lock)


def test_a_checksum_that_cannot_be_made_is_left_to_who_saves(tmp_path, monkeypatch):
    monkeypatch.setattr(FileSummary, "of", unreadable)
    writer = writing(tmp_path / "part")
    assert writer.stop().fault is None and writer.summary() is None
