"""The recorder's promises: whole or not at all, judged before saving, nothing lost to a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from disks import FULL, full_disk
from recordings import (
    CONTRACT,
    ROOT,
    SECOND,
    STARTED,
    array_cdr,
    feed,
    joint_state_cdr,
    position_at,
    record,
)

from vdd_ros.bag import read_bag
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder, State
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import Provenance
from vdd_ros.recovery import recover


@pytest.fixture
def recorder(tmp_path: Path) -> DemoRecorder:
    return DemoRecorder(CONTRACT, tmp_path / "demos", "episode", "avoid")


def recorded(recorder: DemoRecorder, seconds: float = 0.5, **kwargs) -> DemoRecorder:
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, seconds, **kwargs)
    return recorder


def test_a_saved_episode_says_what_it_is(recorder):
    recorded(recorder).annotate({"way": "left-left-right", "seed": 7})
    assert recorder.stop(SECOND + SECOND // 2) == "stopped episode_0001 after 0.5 s, PASS"
    assert recorder.save(SECOND).endswith("episode_0001, PASS")
    folder = recorder.folder / "episode_0001"
    assert sorted(path.name for path in folder.iterdir()) == [
        "episode_0001_0.mcap",
        "manifest.json",
        "metadata.yaml",
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format_version"] == 1
    assert (manifest["name"], manifest["status"], manifest["task"]) == (
        "episode_0001",
        "saved",
        "avoid",
    )
    assert (manifest["started"], manifest["started_ns"]) == (STARTED, SECOND)
    assert manifest["duration_s"] == 0.5
    assert manifest["meta"] == {"way": "left-left-right", "seed": 7}
    assert manifest["streams"]["joint_state"]["count"] == 100
    assert manifest["streams"]["joint_state"]["rate_hz"] == pytest.approx(200.0, abs=0.1)
    assert manifest["streams"]["robot_command"]["rate_hz"] == pytest.approx(100.0, abs=0.1)
    assert manifest["streams"]["policy_command"]["count"] == 0
    assert manifest["interface_hash"] == CONTRACT.interface_hash
    assert manifest["contract_hash"] == CONTRACT.contract_hash
    assert manifest["contract"] == CONTRACT.to_dict()
    assert set(manifest["files"]) == {"episode_0001_0.mcap", "metadata.yaml"}
    assert recorder.state is State.IDLE


def test_commands_out_of_order_change_nothing_and_say_so(recorder):
    for command in (lambda: recorder.stop(SECOND), lambda: recorder.save(SECOND), recorder.discard):
        with pytest.raises(UserError, match="while idle, only while recording"):
            command()
    recorder.start(SECOND, STARTED)
    with pytest.raises(UserError, match="cannot start while recording, only while idle"):
        recorder.start(SECOND, STARTED)
    recorder.stop(2 * SECOND)
    with pytest.raises(UserError, match="cannot stop while stopped"):
        recorder.stop(2 * SECOND)
    assert recorder.state is State.STOPPED


@pytest.mark.parametrize("stop_first", [True, False])
def test_discard_leaves_nothing_behind(recorder, stop_first):
    recorded(recorder)
    if stop_first:
        recorder.stop(2 * SECOND)
    recorder.discard()
    assert list(recorder.folder.iterdir()) == []
    assert recorder.state is State.IDLE


def test_until_it_is_saved_an_episode_is_not_listed(recorder):
    recorded(recorder).stop(2 * SECOND)
    assert EpisodeStore(recorder.folder).list() == ()
    recorder.save(2 * SECOND)
    assert EpisodeStore(recorder.folder).list() == ("episode_0001",)


def test_names_are_never_used_twice(tmp_path):
    assert [record(tmp_path, seconds=0.05) for _ in range(3)] == [
        "episode_0001",
        "episode_0002",
        "episode_0003",
    ]
    first = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    second = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    first.start(SECOND, STARTED)
    second.start(SECOND, STARTED)
    assert (first.name, second.name) == ("episode_0004", "episode_0005")


def test_messages_before_the_start_and_after_the_stop_are_not_recorded(recorder):
    early = joint_state_cdr(SECOND, position_at(SECOND))
    recorder.add("joint_state", early, SECOND)
    recorded(recorder).stop(2 * SECOND)
    recorder.add("joint_state", early, 2 * SECOND)
    recorder.save(2 * SECOND)
    episode = EpisodeStore(recorder.folder).load("episode_0001")
    assert len(episode.streams["joint_state"]) == 100


def verdict_of(recorder: DemoRecorder, seconds: float) -> tuple[str, str]:
    recorder.stop(SECOND + int(seconds * SECOND))
    return recorder.verdict.level, " ".join(recorder.verdict.reasons)


def test_it_knows_how_long_the_episode_in_hand_is(recorder):
    assert recorder.elapsed_s(SECOND) is None
    recorded(recorder)
    assert recorder.elapsed_s(3 * SECOND) == 2.0
    recorder.stop(4 * SECOND)
    assert recorder.elapsed_s(9 * SECOND) == 3.0
    recorder.discard()
    assert recorder.elapsed_s(9 * SECOND) is None


def test_a_clean_recording_passes(recorder):
    assert verdict_of(recorded(recorder, 1.0), 1.0) == ("PASS", "")


def test_a_gap_in_what_the_policy_observes_fails(recorder):
    def silent(stream, time_ns):
        return stream == "joint_state" and 1.4 * SECOND < time_ns < 1.6 * SECOND

    level, reasons = verdict_of(recorded(recorder, 1.0, skip=silent), 1.0)
    assert level == "FAIL"
    assert "joint_state was silent for 0.200 s from 0.40 s on (at most 0.1)" in reasons


def test_silence_before_the_stop_is_a_gap_too(recorder):
    level, reasons = verdict_of(recorded(recorder, 1.0), 1.3)
    assert level == "FAIL"
    assert "joint_state was silent" in reasons


@pytest.mark.parametrize(("kept", "level"), [(0.8, "WARN"), (0.4, "FAIL")])
def test_a_stream_below_its_rate_is_told(recorder, kept, level):
    rng = np.random.default_rng(0)
    thinned = recorded(recorder, 2.0, skip=lambda stream, _: rng.random() > kept)
    found, reasons = verdict_of(thinned, 2.0)
    assert found == level
    assert "instead of 200" in reasons and "instead of 100" in reasons


def test_a_missing_action_stream_fails(recorder):
    thinned = recorded(recorder, skip=lambda stream, _: stream.endswith("_command"))
    level, reasons = verdict_of(thinned, 0.5)
    assert level == "FAIL"
    assert "robot_command has no complete message (forward_position_controller/commands)" in reasons


def test_disorder_nonsense_and_foreign_joints_are_told(recorder):
    recorded(recorder)
    now = SECOND + SECOND // 2
    recorder.add("joint_state", joint_state_cdr(now - 50_000_000, position_at(now)), now)
    recorder.add("joint_state", joint_state_cdr(now, np.full(7, np.nan)), now)
    recorder.add("joint_state", joint_state_cdr(now, [0.5], names=["finger"]), now)
    recorder.add("robot_command", array_cdr(np.degrees(position_at(now))), now)
    level, reasons = verdict_of(recorder, 0.5)
    assert level == "FAIL"
    assert "joint_state has 1 stamps that do not increase (WARN)" in reasons
    assert "joint_state has 1 messages whose position is missing or not finite (FAIL)" in reasons
    assert "joint_state lacks a joint of the contract in 1 messages (WARN)" in reasons
    assert "robot_command leaves the position limits at panda_joint" in reasons


def test_a_field_that_the_policy_observes_must_be_sent(tmp_path):
    raw = CONTRACT.to_dict()
    raw["observation"].append({"name": "speed", "stream": "joint_state", "field": "velocity"})
    recorder = DemoRecorder(Contract.from_dict(raw), tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    recorder.add("joint_state", joint_state_cdr(SECOND, position_at(SECOND)), SECOND)
    _, reasons = verdict_of(recorder, 0.5)
    assert "joint_state has 1 messages whose velocity is missing or not finite (FAIL)" in reasons


def test_clocks_that_disagree_fail(recorder):
    recorder.start(SECOND, STARTED)
    for tick in range(100):
        now = SECOND + tick * 5_000_000
        data = joint_state_cdr(now - 2 * SECOND + SECOND, position_at(now))
        recorder.add("joint_state", data, now)
    level, reasons = verdict_of(recorder, 0.5)
    assert level == "FAIL"
    assert "is received 1.000 s after its stamp" in reasons


def test_a_name_that_is_no_folder_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="name_prefix '../x'"):
        DemoRecorder(CONTRACT, tmp_path, "../x", "avoid")


def test_a_disk_that_takes_nothing_at_all_ends_in_a_sentence(recorder, monkeypatch):
    recorder.start(SECOND, STARTED)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._files.bag, "write", full)
    feed(recorder, SECOND, 0.1)
    with pytest.raises(UserError, match="No space left.*nothing of episode_0001 can be read"):
        recorder.save(2 * SECOND)
    assert recorder.state is State.IDLE
    assert list((recorder.folder / ".quarantine").iterdir()) == []


def set_aside(recorder: DemoRecorder) -> Path:
    """The recording of the only folder in the quarantine."""
    (folder,) = (recorder.folder / ".quarantine").iterdir()
    return folder / f"{folder.name}_0.mcap"


def test_what_a_broken_fsync_leaves_whole_is_set_aside_and_not_destroyed(recorder, monkeypatch):
    """One EIO at the very end: every message can be read."""
    recorded(recorder)

    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("vdd_ros.bag.os.fsync", broken)
    monkeypatch.setattr("vdd_ros.bag.write_text", lambda *_: broken(None))
    with pytest.raises(OSError, match="Input/output"):
        recorder._files.bag.close()
    monkeypatch.undo()
    recorder._files.fault = "writing failed: Input/output error"
    with pytest.raises(UserError) as told:
        recorder.stop(SECOND + SECOND // 2)
    assert "discard" not in str(told.value)
    assert "200 messages are kept in" in str(told.value)
    assert f"`vdd dataset recover {recorder.folder} episode_0001`" in str(told.value)
    assert len(read_bag(set_aside(recorder)).messages) == 200
    assert recorder.state is State.IDLE
    assert recorder.start(3 * SECOND, STARTED) == "recording episode_0002"


def test_what_came_before_a_fault_is_set_aside_by_saving_too(recorder, monkeypatch):
    recorded(recorder)
    recorder.guard(2 * SECOND)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._files.bag, "write", full)
    feed(recorder, 2 * SECOND, 0.1)
    with pytest.raises(UserError, match="No space left.*200 messages are kept"):
        recorder.save(3 * SECOND)
    assert recover(recorder.folder) == [], "it is set aside already"


@pytest.mark.parametrize("stopped", [True, False])
def test_an_operator_may_set_a_recording_aside(recorder, stopped):
    with pytest.raises(UserError, match="cannot set aside while idle"):
        recorder.set_aside(SECOND)
    recorded(recorder)
    if stopped:
        recorder.stop(SECOND + SECOND // 2)
    assert "200 messages are kept in" in recorder.set_aside(SECOND + SECOND // 2)
    assert len(read_bag(set_aside(recorder)).messages) == 200


def test_what_the_disk_does_not_give_back_stays_where_it_is(recorder, monkeypatch):
    recorded(recorder)

    def unreadable(_):
        raise OSError(5, "Input/output error")

    part = recorder.folder / ".part-episode_0001"
    with monkeypatch.context() as patched:
        patched.setattr("vdd_ros.recovery.salvage", unreadable)
        told = recorder.set_aside(SECOND + SECOND // 2)
        assert "not set aside yet, Input/output error" in told and recorder.state is State.IDLE
        (left,) = recover(recorder.folder)
        assert left.path == part and "not set aside yet, Input/output error" in str(left)
    (left,) = recover(recorder.folder)
    assert left.messages == 200


KILLED = """
    import itertools, sys
    sys.path[:0] = {paths!r}
    from recordings import CONTRACT, SECOND, STARTED, joint_state_cdr, position_at
    from vdd_ros.demo_recorder import DemoRecorder

    recorder = DemoRecorder(CONTRACT, {folder!r}, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    for tick in itertools.count():
        now = SECOND + tick * 5_000_000
        recorder.add("joint_state", joint_state_cdr(now, position_at(now)), now)
        if tick % 100 == 0:
            print(tick, flush=True)
"""


def test_after_kill_9_the_readable_prefix_is_set_aside(tmp_path):
    script = textwrap.dedent(KILLED).format(
        paths=[str(ROOT), str(ROOT / "test")], folder=str(tmp_path)
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    while int(process.stdout.readline()) < 2000:
        pass
    assert recover(tmp_path) == [], "a recording in progress is nobody else's business"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert EpisodeStore(tmp_path).list() == ()

    (left,) = recover(tmp_path)
    assert left.name == "episode_0001" and left.damage is not None
    assert left.messages >= 1800, "at most the chunk that was being filled is lost"
    assert [path.name for path in tmp_path.iterdir()] == [".quarantine"]
    contents = read_bag(left.path / "episode_0001_0.mcap")
    assert contents.damage is None and len(contents.messages) == left.messages
    assert contents.messages[1000].data == joint_state_cdr(6 * SECOND, position_at(6 * SECOND))
    assert recover(tmp_path) == []
    assert record(tmp_path, seconds=0.05) == "episode_0002"


def test_a_recording_that_was_stopped_but_never_saved_is_set_aside_whole(recorder):
    recorded(recorder).close()
    (left,) = recover(recorder.folder)
    assert (left.damage, left.messages) == (None, 200)
    assert str(left).startswith("episode_0001 is whole but was never saved: 200 messages")


def test_a_part_folder_with_rubbish_in_it_is_set_aside(tmp_path):
    part = tmp_path / ".part-episode_0003"
    part.mkdir()
    (part / "episode_0003_0.mcap").write_bytes(b"rubbish, not MCAP")
    (left,) = recover(tmp_path)
    assert left.messages == 0 and "not a valid MCAP file" in left.damage
    assert (left.path / "episode_0003_0.mcap").read_bytes() == b"rubbish, not MCAP"


def test_of_slow_streams_too_no_more_than_half_a_second_is_lost(recorder):
    recorder.start(SECOND, STARTED)
    stamps = [SECOND + tick * SECOND // 10 for tick in range(30)]
    for now in stamps:
        recorder.add("joint_state", joint_state_cdr(now, position_at(now)), now)
    written = read_bag(recorder.folder / ".part-episode_0001" / "episode_0001_0.mcap")
    found = [message.received_ns for message in written.messages]
    assert found == stamps[: len(found)]
    assert stamps[-1] - found[-1] <= SECOND // 2


def test_what_a_full_disk_does_not_let_be_set_aside_stays_where_it_is(recorder, monkeypatch):
    recorded(recorder).close()
    part = recorder.folder / ".part-episode_0001"

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vdd_ros.recovery.BagWriter.write", full)
        (left,) = recover(recorder.folder)
    assert (left.path, left.messages) == (part, 200)
    assert "not set aside yet, No space left on device" in str(left)
    (left,) = recover(recorder.folder)  # there is room again
    assert left.damage is None and left.path == recorder.folder / ".quarantine" / "episode_0001"
    assert not part.exists()


def test_an_episode_that_the_disk_does_not_confirm_is_saved_and_says_so(recorder, monkeypatch):
    recorded(recorder).stop(2 * SECOND)

    def fail(folder):
        if folder == recorder.folder:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("vdd_ros.demo_recorder.sync_folder", fail)
    assert "but the disk does not confirm it (Input/output error)" in recorder.save(2 * SECOND)
    assert EpisodeStore(recorder.folder).list() == ("episode_0001",)
    assert recorder.start(3 * SECOND, STARTED) == "recording episode_0002"


def test_a_recording_is_stopped_before_the_disk_is_full_and_can_be_saved(tmp_path, monkeypatch):
    free, steady_ns, least_free = 1 << 30, 0, 256 << 20
    recorder = DemoRecorder(
        CONTRACT, tmp_path, "episode", "avoid", least_free=least_free, steady_ns=lambda: steady_ns
    )
    monkeypatch.setattr(
        "vdd_ros.demo_recorder.shutil.disk_usage", lambda _: SimpleNamespace(free=free)
    )
    assert recorder.room() == (free, None)
    recorded(recorder, 2.0)
    steady_ns, now = 2 * SECOND, 3 * SECOND
    size = (recorder.folder / ".part-episode_0001" / "episode_0001_0.mcap").stat().st_size
    left = recorder.room().seconds
    assert left == pytest.approx((free - least_free / 2) / (size / 2.0))
    assert recorder.guard(now) is None
    free = least_free // 2 - 1
    assert recorder.guard(now).endswith("the disk is almost full: save it, then make room")
    assert recorder.guard(now) is None
    recorder.save(now)
    with pytest.raises(UserError, match="only 127 MiB are free .* 256 or more: make room first"):
        recorder.start(now, STARTED)


def test_a_recovery_that_was_killed_before_it_had_tidied_up_loses_nothing(recorder):
    recorded(recorder).close()
    part = recorder.folder / ".part-episode_0001"
    whole = shutil.copytree(part, recorder.folder / "copy")
    (left,) = recover(recorder.folder)
    kept = (left.path / "episode_0001_0.mcap").read_bytes()
    for remains in ("everything", "an empty folder"):
        shutil.copytree(whole, part)
        if remains == "an empty folder":
            (part / "episode_0001_0.mcap").unlink()
        (again,) = recover(recorder.folder)
        assert (again.path, again.messages) == (left.path, 200)
        assert (left.path / "episode_0001_0.mcap").read_bytes() == kept
        assert not part.exists()


def test_what_cannot_be_removed_is_set_aside_all_the_same(recorder, monkeypatch):
    recorded(recorder).close()

    def fail(path, *args, **kwargs):
        for file in path.glob("*"):
            file.unlink()
        if not kwargs.get("ignore_errors"):
            raise OSError(39, "Directory not empty")

    monkeypatch.setattr("vdd_ros.recovery.shutil.rmtree", fail)
    (left,) = recover(recorder.folder)
    assert left.messages == 200
    assert len(read_bag(left.path / "episode_0001_0.mcap").messages) == 200


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ({"scene": "x" * 300_000}, "256 KiB at most"),
        ({"scene": json.loads("[" * 30 + "]" * 30)}, "20 lists and objects"),
        ({"share": float("nan")}, "what JSON can hold"),
    ],
)
def test_notes_that_would_spoil_a_manifest_are_refused(recorder, items, why):
    recorded(recorder).annotate({"way": "left"})
    with pytest.raises(UserError, match=why):
        recorder.annotate(items)
    recorder.stop(SECOND + SECOND // 2)
    recorder.save(SECOND)
    assert EpisodeStore(recorder.folder).load("episode_0001").manifest.meta == {"way": "left"}


def test_a_second_note_takes_nothing_from_the_first(recorder):
    recorded(recorder).annotate({"note": "the cup slipped"})
    recorder.annotate({"note": "and fell"})
    assert recorder.meta["note"] == "the cup slipped; and fell"
    recorder.annotate({"note": "the cup slipped; and fell; twice"})  # as the page tells it
    assert recorder.meta["note"] == "the cup slipped; and fell; twice"


def test_a_recording_that_could_not_be_judged_is_judged_when_it_is_saved(recorder, monkeypatch):
    recorded(recorder)

    def unreadable(path):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("vdd_ros.demo_recorder.read_bag", unreadable)
        with pytest.raises(OSError, match="Input/output"):
            recorder.stop(SECOND + SECOND // 2)
        with pytest.raises(OSError, match="Input/output"):
            recorder.save(SECOND)
    assert recorder.save(SECOND).endswith("episode_0001, PASS")
    streams = EpisodeStore(recorder.folder).load("episode_0001").manifest.streams
    assert streams["joint_state"].count == 100


def test_commands_that_end_long_before_the_recording_are_told(recorder):
    recorder.start(SECOND, STARTED)

    def ends_early(stream, time_ns):
        return stream != "joint_state" and time_ns > SECOND + 4 * SECOND // 10

    feed(recorder, SECOND, 2.0, skip=ends_early)
    recorder.stop(3 * SECOND)
    assert "robot_command covers 0.4 s of 2.0" in str(recorder.verdict)


def test_what_lies_behind_damage_is_kept(recorder):
    """A power cut leaves zeros where a file has not been brought to the disk."""
    recorded(recorder, 2.0)
    recorder.close()
    part = recorder.folder / ".part-episode_0001" / "episode_0001_0.mcap"
    data = bytearray(part.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 512] = bytes(512)
    part.write_bytes(data)
    (found,) = recover(recorder.folder)
    assert 600 < found.messages < 800 and found.is_damaged, "but for a chunk, all"
    assert (found.path / "episode_0001_damaged.mcap").read_bytes() == bytes(data)


def test_a_message_that_is_too_short_for_a_stamp_is_kept_as_it_came(recorder):
    recorder.start(SECOND, STARTED)
    recorder.add("joint_state", b"\x00\x01\x00\x00", SECOND)
    feed(recorder, SECOND, 0.5)
    recorder.stop(SECOND + SECOND // 2)
    assert "lacks a joint" in str(recorder.verdict)


def test_a_recording_whose_journal_finds_no_room_does_not_begin(tmp_path):
    """What was begun of it is gone, and the next begins where there is room again."""
    told = Provenance(prompt="move the arm about " * 1000)
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid", told)
    with full_disk(8192), pytest.raises(OSError, match=FULL):
        recorder.start(SECOND, STARTED)
    assert recorder.state is State.IDLE and list(tmp_path.iterdir()) == []
    assert recorder.start(SECOND, STARTED) == "recording episode_0001"
