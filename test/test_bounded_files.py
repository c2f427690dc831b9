"""Files that are made to be too much take no more memory than they are worth."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer
from recordings import CONTRACT, record

from vdd_ros.bag import CONTRACT_ATTACHMENT, read_bag
from vdd_ros.bounded_file import read_object, read_text_up_to
from vdd_ros.commands.dataset import check
from vdd_ros.episode_log import LOG
from vdd_ros.errors import UserError
from vdd_ros.manifest import FILE_NAME, LARGEST_BYTES, FileSummary, Manifest
from vdd_ros.page.episode_list import NEWEST, EpisodeList

CHUNK, MAGIC = 6, b"\x89MCAP0\r\n"
GIB = 1 << 30


@contextmanager
def at_most(largest_bytes: int) -> Iterator[None]:
    """The block allocates no more than this at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < largest_bytes
    finally:
        tracemalloc.stop()


def chunk(data: bytes, compression: str, says: int, has: int | None = None) -> bytes:
    """A chunk record that says that it uncompresses to `says` bytes, and has `has`."""
    body = struct.pack("<QQQI", 0, 0, says, 0)
    body += struct.pack("<I", len(compression)) + compression.encode()
    body += struct.pack("<Q", len(data) if has is None else has) + data
    return bytes([CHUNK]) + struct.pack("<Q", len(body)) + body


def pieces(size: int) -> Iterator[bytes]:
    """A record of a kind that nobody knows, of zeros: `size` bytes in all."""
    yield b"\x80" + struct.pack("<Q", size - 9)
    for left in range(size - 9, 0, -(1 << 24)):
        yield bytes(min(left, 1 << 24))


def zstd_bomb(size: int, tells: bool) -> bytes:
    """tells: whether its header has its size."""
    compressor = zstandard.ZstdCompressor().compressobj(size=size if tells else -1)
    return b"".join([*map(compressor.compress, pieces(size)), compressor.flush()])


def lz4_bomb(size: int) -> bytes:
    with lz4.frame.LZ4FrameCompressor() as compressor:
        begin = compressor.begin()
        return b"".join([begin, *map(compressor.compress, pieces(size)), compressor.flush()])


BOMBS = {
    "zstd that says so": lambda: chunk(zstd_bomb(GIB, True), "zstd", GIB),
    "zstd whose frame says so": lambda: chunk(zstd_bomb(GIB, True), "zstd", 1000),
    "zstd that says nothing": lambda: chunk(zstd_bomb(GIB, False), "zstd", 1000),
    "lz4 that says so": lambda: chunk(lz4_bomb(GIB), "lz4", GIB),
    "lz4 that says nothing": lambda: chunk(lz4_bomb(GIB), "lz4", 1000),
    "many chunks": lambda: chunk(zstd_bomb(1 << 25, True), "zstd", 1 << 25) * 40,
    "a length beyond the file": lambda: chunk(b"", "zstd", 10, has=1 << 40),
    "a record beyond the file": lambda: b"\x09" + struct.pack("<Q", 1 << 40),
    "a chunk of no kind": lambda: chunk(b"abc", "bz2", 10),
    "no zstd at all": lambda: chunk(b"abcdefgh", "zstd", 10),
    "no lz4 at all": lambda: chunk(b"abcdefgh", "lz4", 10),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_recording_takes_no_more_memory_than_it_is_worth(tmp_path, name):
    path = tmp_path / "bomb.mcap"
    path.write_bytes(MAGIC + BOMBS[name]())
    assert path.stat().st_size < 8 << 20
    with at_most(200 << 20):
        contents = read_bag(path)
    assert contents.damage and "\n" not in contents.damage
    assert contents.messages == []


def test_the_bombs_are_bombs():
    """What is refused above would indeed take a gigabyte."""
    with pytest.raises(AssertionError), at_most(200 << 20):
        zstandard.decompress(zstd_bomb(GIB, True))


def test_a_chunk_of_honest_size_is_read_in_either_compression(tmp_path):
    """Eight megabytes of zeros in one chunk, as a picture of a dark scene would be."""
    for compression in CompressionType:
        path = tmp_path / f"{compression.name}.mcap"
        with path.open("wb") as file:
            writer = Writer(file, compression=compression, chunk_size=16 << 20)
            writer.start(profile="ros2", library="test")
            contract = json.dumps(CONTRACT.to_dict()).encode()
            writer.add_attachment(0, 0, CONTRACT_ATTACHMENT, "application/json", contract)
            channel = writer.register_channel("/joint_states", "cdr", 0)
            writer.add_message(channel, 5, bytes(8 << 20), 4)
            writer.finish()
        contents = read_bag(path)
        assert contents.damage is None
        assert [len(message.data) for message in contents.messages] == [8 << 20]


def test_an_episode_that_was_replaced_by_a_bomb_is_told_from_the_others(tmp_path):
    name = record(tmp_path)
    record(tmp_path)
    path, manifest = tmp_path / name / f"{name}_0.mcap", tmp_path / name / FILE_NAME
    path.write_bytes(MAGIC + BOMBS["zstd that says so"]())
    raw = json.loads(manifest.read_text())
    raw["files"][path.name] = FileSummary.of(path).model_dump()
    (tmp_path / LOG).unlink()  # which would know that the manifest is another
    manifest.write_text(json.dumps(raw))
    bad, good = check.main(check.Args(tmp_path))["episodes"]
    assert (bad["verdict"], good["verdict"]) == ("BROKEN", "PASS")
    assert "would uncompress to 1073741824, more than a recording" in bad["reasons"][0]


@pytest.fixture
def saved(tmp_path) -> Path:
    return tmp_path / record(tmp_path, note="the cup slipped", success=True)


def enormous(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * GIB)


def deep(path: Path) -> None:
    path.write_text("[" * 200_000)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (enormous, f"has 3221225472 bytes, at most {LARGEST_BYTES} are read"),
        (deep, "not readable JSON"),
        (pipe, "is no regular file"),
        (endless, "is no regular file"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "not readable JSON"),
        (lambda path: path.write_text("1" * 5000), "not readable JSON"),
    ],
)
def test_a_manifest_that_is_too_much_ends_in_one_sentence(saved, spoil, sentence):
    spoil(saved / FILE_NAME)
    listed = EpisodeList(saved.parent)
    with at_most(100 << 20):
        with pytest.raises(UserError, match=sentence) as found:
            Manifest.read(saved)
        listed.look()
    assert "\n" not in str(found.value)
    (row,) = listed.rows
    assert row["name"] == saved.name and sentence in row["fault"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """An episode with a copy of its manifest, to be spoilt anew again and again."""
    folder = tmp_path_factory.mktemp("kept")
    episode = folder / record(folder)
    (episode / "whole").write_text((episode / FILE_NAME).read_text())
    return episode


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_a_manifest_says_the_list_is_json_that_browsers_read(kept, data):
    path, raw = kept / FILE_NAME, json.loads((kept / "whole").read_text())
    raw[data.draw(st.sampled_from(sorted(raw)))] = data.draw(JSON)
    path.write_text(json.dumps(raw))
    listed = EpisodeList(kept.parent)
    listed.look()
    (row,) = listed.rows
    assert row["name"] == kept.name
    json.dumps(row, allow_nan=False)


def test_a_file_as_long_as_it_may_be_is_read(tmp_path):
    path = tmp_path / "text"
    path.write_text("a" * 10)
    assert read_text_up_to(path, 10) == "a" * 10
    with pytest.raises(UserError, match="has 10 bytes, at most 9"):
        read_text_up_to(path, 9)


def test_the_newest_episodes_are_listed_with_verdict_label_and_note(saved):
    (saved.parent / ".part-episode_0007").mkdir()
    (saved.parent / "a file").touch()
    (saved.parent / "elsewhere").symlink_to("/")
    listed = EpisodeList(saved.parent)
    listed.look()
    assert (listed.total, listed.version) == (1, 1)
    (row,) = listed.rows
    assert (row["name"], row["level"], row["reasons"]) == (saved.name, "PASS", [])
    assert (row["success"], row["note"], row["duration_s"]) == (True, "the cup slipped", 0.5)
    listed.look()
    assert listed.version == 1
    second = record(saved.parent)
    listed.look()
    assert [row["name"] for row in listed.rows] == [second, saved.name]
    assert (listed.total, listed.version) == (2, 2)


def test_a_manifest_that_changes_is_read_again(saved):
    listed = EpisodeList(saved.parent)
    listed.look()
    path = saved / FILE_NAME
    path.write_text(path.read_text().replace("the cup slipped", "it did not"))
    listed.look()
    assert listed.rows[0]["note"] == "it did not"


def test_a_folder_that_is_not_there_yet_or_is_full(tmp_path):
    listed = EpisodeList(tmp_path / "none")
    listed.look()
    assert (listed.rows, listed.total) == ([], 0)
    for number in range(NEWEST + 5):
        (tmp_path / f"e{number}").mkdir()
    listed = EpisodeList(tmp_path)
    listed.look()
    assert (len(listed.rows), listed.total) == (NEWEST, NEWEST + 5)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read .No such file or directory.: name a plan"),
        (b"{", "cannot be read .Expecting property name"),
        (b"\xff", "cannot be read .'utf-8' codec"),
        (b"[" * 200_000, "cannot be read .maximum recursion depth"),
        (b"[1, 2]", "is not a JSON object: name a plan"),
    ],
    ids=["missing", "half of it", "no text", "deeper than anyone writes", "a list"],
)
def test_what_is_no_object_is_told_with_what_is_wanted(tmp_path, content, told):
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told):
        read_object(path, "a plan")
    path.write_text('{"a": 1}')
    assert read_object(path, "a plan") == {"a": 1}
