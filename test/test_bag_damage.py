"""Damage in the middle of a recording: what lies behind it is found again, nothing is hidden."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from pictures import RATE_HZ, contract_with, end_of, feed_cameras, recorded, scene
from recordings import CONTRACT, SECOND, STARTED, feed

from vdd_ros.bag import read_bag
from vdd_ros.bag_mending import mend
from vdd_ros.bag_salvage import salvage
from vdd_ros.bag_walk import RECORD, Piece, Skipped, walk
from vdd_ros.camera_images import CameraImages, camera_bag
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.recovery import recover

SEEING = contract_with(compression="none")


def abandoned(folder, seconds: float = 3.0):
    """The file of a recorder of joints that was killed."""
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, seconds)
    recorder.close()
    return folder / ".part-episode_0001" / "episode_0001_0.mcap"


def chunks_of(data: bytes) -> list[tuple[int, int]]:
    """Where the chunks of a sound file begin and end."""
    from mcap.records import Chunk

    pieces = (one for one in walk(data) if isinstance(one, Piece))
    return [(one.begin, one.end) for one in pieces if isinstance(one.record, Chunk)]


def zero(data: bytearray, begin: int, end: int) -> None:
    data[begin:end] = bytes(end - begin)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A file of joints, and its messages."""
    path = abandoned(tmp_path_factory.mktemp("sound"))
    return path.read_bytes(), read_bag(path).messages


def test_a_sound_file_is_read_as_it_is(sound, tmp_path):
    data, messages = sound
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    found = salvage(path)
    assert (found.messages, found.damage, found.contract) == (messages, None, CONTRACT)


@pytest.mark.parametrize("place", ["head", "length", "content", "last byte", "all of it"])
@pytest.mark.parametrize("number", [0, 2, -1])
def test_only_the_chunk_that_is_damaged_is_lost(sound, tmp_path, place, number):
    data, messages = bytearray(sound[0]), sound[1]
    begin, end = chunks_of(sound[0])[number]
    flipped = {"head": begin, "length": begin + 1, "content": begin + 60, "last byte": end - 1}
    if place in flipped:
        data[flipped[place]] ^= 0x11
    else:
        zero(data, begin, end)
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    found = salvage(path)
    kept = [message for message in messages if message in set(found.messages)]
    assert found.messages == kept, "those that are there are as they were, and in order"
    gone = len(messages) - len(found.messages)
    assert 0 < gone <= 200, "about half a second of 400 messages a second"
    (skipped,) = [one for one in found.skipped if not one.is_ending]
    assert skipped.begin == begin and skipped.end >= end and found.is_damaged
    assert f"bytes from {begin:,} on (" in found.damage


def test_several_places_are_told_each(sound, tmp_path):
    data = bytearray(sound[0])
    chunks = chunks_of(sound[0])
    for begin, _ in (chunks[1], chunks[3]):
        zero(data, begin + 100, begin + 164)
    path = tmp_path / "x.mcap"
    path.write_bytes(data[: chunks[-1][1] - 10])
    found = salvage(path)
    *damaged, ending = found.skipped
    assert [(one.begin, one.end) for one in damaged] == [chunks[1], chunks[3]]
    assert ending.is_ending and ending.begin == chunks[-1][0]
    total = sum(end - begin for begin, end in (chunks[1], chunks[3]))
    assert found.damage.startswith(f"of its bytes {total:,} are damaged and were skipped: ")


def test_a_file_without_its_contract_is_kept_as_it_is(sound, tmp_path):
    data = bytearray(sound[0])
    place = bytes(data).index(b"contract.json") + 100
    data[place] ^= 1
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    found = salvage(path)
    assert found.contract is None and not found.messages
    assert "an attachment is not what was written (CRC)" in found.damage


def test_a_recording_that_was_damaged_is_set_aside_with_the_original(tmp_path):
    path = abandoned(tmp_path)
    messages = read_bag(path).messages
    data = bytearray(path.read_bytes())
    begin, end = chunks_of(bytes(data))[1]
    zero(data, begin + 50, begin + 562)
    path.write_bytes(data)
    (found,) = recover(tmp_path)
    assert len(messages) - 200 <= found.messages < len(messages)
    assert f"{end - begin:,} bytes from {begin:,} on" in str(found) and "is damaged (" in str(found)
    kept = read_bag(found.path / "episode_0001_0.mcap")
    assert kept.damage is None and kept.messages[-1] == messages[-1]
    assert (found.path / "episode_0001_damaged.mcap").read_bytes() == bytes(data)


def seen(path) -> list[int]:
    """When each picture of the front camera was taken, as its own table says; each is read."""
    images = CameraImages(path, SEEING, "front")
    for picture in itertools.islice(images, 0, None, 7):
        np.testing.assert_array_equal(picture.pixels, scene(images.camera, picture.stamp_ns))
    return images.stamps_ns.tolist()


@pytest.fixture
def pictures(tmp_path):
    """A file of pictures that was killed, of many small chunks."""
    recorder = recorded(SEEING, tmp_path, 0.1)
    for tick in range(1, 10):
        feed_cameras(recorder, end_of(0.1 * tick), 0.1)
        recorder.cameras.sync()
    recorder._files.bag.abort()
    recorder.cameras.abort()
    recorder._files.let_go()
    return camera_bag(tmp_path / ".part-episode_0001", "episode_0001")


@pytest.mark.parametrize("number", [0, 4])
def test_pictures_behind_damage_are_there_again_where_they_lie(pictures, number):
    from mcap.reader import make_reader
    from mcap.stream_reader import StreamReader

    data = bytearray(pictures.read_bytes())
    mend(pictures)
    whole = seen(pictures)
    begin, _ = chunks_of(bytes(data))[number]
    zero(data, begin + 30, begin + 400)
    pictures.write_bytes(data)
    mended = mend(pictures)
    assert mended.is_damaged and f"from {begin:,} on" in mended.damage
    stamps = seen(pictures)
    assert set(stamps) < set(whole) and len(whole) - len(stamps) <= 3, "all but those of a chunk"
    with pictures.open("rb") as file:
        assert make_reader(file).get_summary().statistics.message_count == mended.messages
        list(StreamReader(file_from_start(file), emit_chunks=True, validate_crcs=True).records)
    after = pictures.read_bytes()
    (told,) = json.loads(pictures.with_name(f"{pictures.stem}_damage.json").read_text())
    assert (told["begin"], told["first_bytes"]) == (begin, data[begin : begin + 9].hex())
    before = bytearray(after[: len(data)])
    before[begin : begin + RECORD.size] = bytes.fromhex(told["first_bytes"])
    assert before == data, "but for nine bytes, which are kept, all is as it was"
    assert mend(pictures) == mended._replace(damage=None, is_damaged=False)
    assert pictures.read_bytes() == after, "mending twice changes nothing"


def file_from_start(file):
    file.seek(0)
    return file


def test_an_index_that_is_damaged_is_made_anew(pictures):
    data = bytearray(pictures.read_bytes())
    _, end = chunks_of(bytes(data))[2]
    data[end + RECORD.size + 6] ^= 0x55  # when the first message of the first index was received
    data[end + 1] ^= 0x7  # and how long that index is
    pictures.write_bytes(data)
    mended = mend(pictures)
    assert mended.is_damaged and len(seen(pictures)) == RATE_HZ


def test_what_was_finished_and_is_damaged_is_finished_again(tmp_path):
    recorded(SEEING, tmp_path, 1.0).stop(2 * SECOND)
    path = camera_bag(tmp_path / ".part-episode_0001", "episode_0001")
    assert mend(path).damage is None
    data = bytearray(path.read_bytes())
    data[-40] ^= 1  # in the footer
    path.write_bytes(data)
    assert mend(path).damage is not None and len(seen(path)) == RATE_HZ
    assert mend(path).damage is None


def test_whatever_the_damage_what_is_read_is_what_was_written(sound, tmp_path):
    data, messages = sound
    known, rng = set(messages), np.random.default_rng(0)
    path = tmp_path / "x.mcap"
    kept = []
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place : place + 16] = rng.bytes(min(16, len(data) - place))
        path.write_bytes(damaged)
        found = salvage(path)
        assert set(found.messages) <= known
        assert found.skipped or set(found.messages) == known
        ends = [(one.begin, one.end) for one in walk(bytes(damaged)) if isinstance(one, Skipped)]
        assert ends == sorted(ends)
        kept.append(len(found.messages) if found.contract is not None else len(messages))
    assert np.mean(kept) > 0.7 * len(messages)
