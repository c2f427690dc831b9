"""What was never saved becomes an episode: judged, labelled and logged as any other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from pictures import RATE_HZ, contract_with, end_of, recorded, recorder_with
from recordings import CONTRACT, ROOT, SECOND, STARTED, feed, record

from vdd_ros import cli
from vdd_ros.bag_mending import mend
from vdd_ros.camera_images import CAMERAS, camera_bag
from vdd_ros.commands.dataset import check, recover
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.durable import lock_folder
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import Provenance
from vdd_ros.part import JOURNAL, QUARANTINE, Journal, left_overs

SEEING = contract_with()
WHO = Provenance(operator="otter", consent="research", licence="CC-BY-4.0", prompt="the cup")
NAME = "episode_0001"


def left_behind(folder, seconds: float = 1.0, stop: bool = True) -> DemoRecorder:
    """A recording with pictures, a label and notes, by a recorder that ended without saving it."""
    recorder = recorded(SEEING, folder, seconds)
    recorder.provenance = WHO
    recorder.annotate({"success": False})
    recorder.annotate({"note": "the cup slipped"})
    recorder.annotate({"note": "and fell"})
    if stop:
        recorder.stop(end_of(seconds))
    recorder.close()
    return recorder


def made(folder, *names: str) -> dict:
    result = recover.main(recover.Args(folder, names))
    assert result["ok"], result
    return result["made"]


def row(folder) -> dict:
    (found,) = check.main(check.Args(folder))["episodes"]
    return found


KILLED = """
    import os, sys
    sys.path[:0] = {paths!r}
    from pictures import contract_with, end_of, feed_cameras, recorder_with
    from recordings import SECOND, STARTED, feed
    from vdd_ros.manifest import Provenance

    recorder = recorder_with(contract_with(), {folder!r}, provenance=Provenance(operator="otter"))
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 3.0)
    feed_cameras(recorder, SECOND, 2.6)
    recorder.cameras.sync()
    feed_cameras(recorder, end_of(2.6), 0.4)  # not brought to the disk any more
    recorder.annotate({{"success": False, "note": "the cup slipped"}})
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_recorder_left_is_an_episode_again(tmp_path, capsys):
    folder = tmp_path / "demos"
    paths = [str(ROOT), str(ROOT / "test")]
    script = textwrap.dedent(KILLED).format(paths=paths, folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        pipe.close()
    (listed,) = recover.main(recover.Args(folder))["left_over"]
    assert (listed["operator"], listed["label"], listed["note"]) == (
        "otter", "failure", "the cup slipped",
    )  # fmt: skip
    assert 2.4 < listed["duration_s"] < 2.7 and listed["images"] >= 2 * 2.5 * RATE_HZ
    assert "the cup slipped" in capsys.readouterr().out
    assert cli.main(["dataset", "recover", str(folder), NAME]) == 0
    found = row(folder)
    assert (found["verdict"], found["reasons"]) == ("PASS", [])
    assert found["images"] >= 2 * 2.5 * RATE_HZ
    manifest = EpisodeStore(folder).load(NAME).manifest
    assert manifest.meta["success"] is False and manifest.meta["note"] == "the cup slipped"
    assert manifest.meta["recovered"]["from"] == NAME and manifest.started == STARTED
    assert manifest.provenance.operator == "otter"
    assert list(EpisodeStore(folder).log().kept) == [NAME] and left_overs(folder) == []
    assert not (folder / ".quarantine" / NAME).exists()
    assert record(folder) == "episode_0002"


def test_one_that_was_stopped_and_never_saved_is_as_if_it_had_been(tmp_path):
    left_behind(tmp_path / "one")
    made(tmp_path / "one", NAME)
    other = recorded(SEEING, tmp_path / "other")
    other.provenance = WHO
    other.annotate({"success": False, "note": "the cup slipped; and fell"})
    other.save(end_of(1.0))
    one, two = (EpisodeStore(tmp_path / which).load(NAME).manifest for which in ("one", "other"))
    assert one.meta.pop("recovered") == {"from": NAME, "why": "it was never saved"}
    hashed = {"files"}  # two files are never the same, byte for byte, that are written at two times
    assert one.model_dump(exclude=hashed) == two.model_dump(exclude=hashed)
    assert set(one.files) == set(two.files)


def test_one_that_the_disk_spoilt_is_made_an_episode_of(tmp_path):
    recorder = left = recorder_with(SEEING, tmp_path)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 1.0)
    recorder.annotate({"success": True})
    recorder.cameras.sync()
    recorder.guard(end_of(1.0))
    recorder._files.fault = "writing failed: Input/output error"
    with pytest.raises(UserError, match=f"`vdd dataset recover {tmp_path} {NAME}`"):
        left.save(end_of(1.0))
    assert made(tmp_path, NAME) == {NAME: NAME}
    note = EpisodeStore(tmp_path).load(NAME).manifest.meta["recovered"]
    assert note["why"] == "writing failed: Input/output error"
    assert row(tmp_path)["meta"]["success"] is True


def test_what_was_lost_and_what_clocks_did_is_still_held_against_it(tmp_path):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 1.0)
    recorder.add_lost("joint_state", 7)
    recorder.beside.note_jump("the recorder's clock leapt by 0.5 s")
    recorder.guard(end_of(1.0))
    recorder.close()
    made(tmp_path, NAME)
    reasons = "; ".join(row(tmp_path)["reasons"])
    assert "the recorder's clock leapt by 0.5 s" in reasons and "7 messages" in reasons


@pytest.mark.parametrize("journal", ["none", "torn", "huge"])
def test_of_what_nothing_is_known_the_messages_are_taken(tmp_path, journal, capsys):
    left_behind(tmp_path)
    path = tmp_path / f".part-{NAME}" / JOURNAL
    if journal == "none":
        path.unlink()
    else:
        path.write_text(path.read_text()[:-9] if journal == "torn" else " " * 5_000_000)
    assert not recover.main(recover.Args(tmp_path))["left_over"][0]["is_known"]
    assert "nothing is known of it but its messages" in capsys.readouterr().out
    made(tmp_path, NAME)
    manifest = EpisodeStore(tmp_path).load(NAME).manifest
    assert manifest.meta["recovered"]["unknown"] and "success" not in manifest.meta
    assert row(tmp_path)["images"] == 2 * RATE_HZ and row(tmp_path)["verdict"] == "PASS"


def test_where_its_name_is_taken_it_gets_the_next_and_pictures_go_with_it(tmp_path):
    left_behind(tmp_path)
    recover.main(recover.Args(tmp_path))
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(9 * SECOND, STARTED, name=NAME)
    feed(recorder, 9 * SECOND, 0.5)
    recorder.save(9 * SECOND + SECOND // 2)
    assert check.main(check.Args(tmp_path))["left_over"] == [NAME]
    assert made(tmp_path, NAME) == {NAME: "episode_0002"}
    episode = EpisodeStore(tmp_path).load("episode_0002")
    assert len(episode.images("front")) == RATE_HZ
    assert "cameras/episode_0002_cameras_0.mcap" in episode.manifest.files
    found = check.main(check.Args(tmp_path))
    assert found["ok"] and found["left_over"] == []


@pytest.mark.parametrize("name", [NAME, "episode_0002"])
def test_one_that_was_ended_before_it_had_tidied_up_makes_no_second_episode(tmp_path, name):
    left_behind(tmp_path)
    recover.main(recover.Args(tmp_path))
    if name != NAME:
        recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
        recorder.start(9 * SECOND, STARTED, name=NAME)
        feed(recorder, 9 * SECOND, 0.5)
        recorder.save(9 * SECOND + SECOND // 2)
    copy = shutil.copytree(tmp_path / ".quarantine", tmp_path / ".copy")
    made(tmp_path, NAME)
    before = EpisodeStore(tmp_path).list()
    shutil.rmtree(tmp_path / ".quarantine")
    copy.rename(tmp_path / ".quarantine")
    assert made(tmp_path, NAME) == {NAME: name}
    assert EpisodeStore(tmp_path).list() == before and left_overs(tmp_path) == []


def test_what_it_was_made_of_stays_until_the_log_has_the_episode(tmp_path, monkeypatch):
    left_behind(tmp_path)

    def broken(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        for place in ("demo_recorder", "recovered_episode"):
            patched.setattr(f"vdd_ros.{place}.append", broken)
        result = recover.main(recover.Args(tmp_path, all=True))
    assert not result["ok"] and "Input/output error" in result["failed"][NAME]
    assert left_overs(tmp_path) == [NAME] and EpisodeStore(tmp_path).log().kept == {}
    assert made(tmp_path, NAME) == {NAME: NAME}
    assert list(EpisodeStore(tmp_path).log().kept) == [NAME] and left_overs(tmp_path) == []


def test_one_that_is_broken_off_has_lost_nothing(tmp_path, monkeypatch):
    left_behind(tmp_path)

    def broken(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vdd_ros.demo_recorder.write_text", broken)
        result = recover.main(recover.Args(tmp_path, all=True))
    assert "No space left" in result["failed"][NAME]
    assert EpisodeStore(tmp_path).list() == () and left_overs(tmp_path) == [NAME]
    made(tmp_path, NAME)
    assert row(tmp_path)["images"] == 2 * RATE_HZ


def test_pictures_that_cannot_be_read_do_not_keep_joints_from_it(tmp_path):
    left_behind(tmp_path)
    camera_bag(tmp_path / f".part-{NAME}", NAME).write_bytes(b"rubbish")
    made(tmp_path, NAME)
    found = row(tmp_path)
    assert found["verdict"] == "FAIL" and found["images"] == 0
    assert "images are missing from 0.00 s on" in found["reasons"][0]
    assert len(EpisodeStore(tmp_path).load(NAME).streams["joint_state"]) == 200


def test_a_damaged_file_stays_where_there_may_be_more_in_it(tmp_path):
    left_behind(tmp_path, 2.0)
    path = tmp_path / f".part-{NAME}" / f"{NAME}_0.mcap"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 512] = bytes(512)
    path.write_bytes(data)
    made(tmp_path, NAME)
    assert "joint_state was silent" in "; ".join(row(tmp_path)["reasons"])
    assert (tmp_path / ".quarantine" / f"{NAME}_damaged.mcap").read_bytes() == bytes(data)


def test_what_no_message_of_can_be_read_is_told_and_left(tmp_path):
    own = tmp_path / ".quarantine" / "episode_0003"
    own.mkdir(parents=True)
    (own / "episode_0003_0.mcap").write_bytes(b"rubbish")
    result = recover.main(recover.Args(tmp_path, all=True))
    assert "no message of episode_0003 can be read" in result["failed"]["episode_0003"]
    assert own.is_dir()


@pytest.mark.parametrize("name", ["episode_0009", "../demos", ".", ""])
def test_what_is_not_there_is_told_before_anything_is_made(tmp_path, name):
    left_behind(tmp_path)
    with pytest.raises(UserError, match="without a name they are listed"):
        recover.main(recover.Args(tmp_path, (NAME, name)))
    assert left_overs(tmp_path) == [NAME]


def test_where_nothing_is_left_over_that_is_said(tmp_path, capsys):
    record(tmp_path)
    assert recover.main(recover.Args(tmp_path))["left_over"] == []
    assert "nothing is left over" in capsys.readouterr().out
    with pytest.raises(UserError, match="no folder"):
        recover.main(recover.Args(tmp_path / "none"))


def test_the_journal_is_on_the_disk_before_and_after_each_note(tmp_path):
    recorder = recorder_with(SEEING, tmp_path, provenance=WHO)
    recorder.start(SECOND, STARTED)
    part = tmp_path / f".part-{NAME}"
    begun = Journal.read(part)
    assert (begun.provenance, begun.meta, begun.stopped_ns) == (WHO, {}, None)
    recorder.annotate({"success": True})
    assert Journal.read(part).meta == {"success": True}
    feed(recorder, SECOND, 0.5)
    recorder.stop(end_of(0.5))
    assert Journal.read(part).stopped_ns == end_of(0.5)
    recorder.annotate({"note": "late"})
    assert Journal.read(part).meta["note"] == "late"
    recorder.save(end_of(0.5))
    assert not (tmp_path / NAME / JOURNAL).exists()


def test_counts_alone_do_not_keep_streams_waiting_for_the_disk(tmp_path):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    part = tmp_path / f".part-{NAME}"
    for _ in range(3):
        recorder.add_lost("joint_state", 2)
        recorder.guard(2 * SECOND)
        assert Journal.read(part).lost == {"joint_state": 2}, "that some were lost is known"
    recorder.stop(3 * SECOND)
    assert Journal.read(part).lost == {"joint_state": 6}


def test_a_note_that_the_disk_does_not_take_is_told_and_saved_all_the_same(tmp_path, monkeypatch):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 0.5)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vdd_ros.part.replace_text", full)
        told = recorder.annotate({"success": True})
    assert "only once the episode is saved (No space left on device)" in told
    recorder.save(end_of(0.5))
    assert EpisodeStore(tmp_path).load(NAME).manifest.meta == {"success": True}


def test_pictures_are_linked_and_not_changed(tmp_path):
    left_behind(tmp_path)
    recover.main(recover.Args(tmp_path))
    bag = camera_bag(tmp_path / ".quarantine" / NAME, NAME)
    before, number = bag.read_bytes(), bag.stat().st_ino
    made(tmp_path, NAME)
    after = tmp_path / NAME / CAMERAS / bag.name
    assert after.read_bytes() == before and after.stat().st_ino == number
    assert mend(after).damage is None


def test_two_processes_do_not_make_an_episode_of_the_same(tmp_path):
    left_behind(tmp_path)
    recover.main(recover.Args(tmp_path))
    held = lock_folder(tmp_path / QUARANTINE / NAME)
    told = recover.main(recover.Args(tmp_path, (NAME,)))["failed"][NAME]
    assert told == f"another process is making an episode of {NAME}: wait for it"
    assert not EpisodeStore(tmp_path).list()
    os.close(held)
    made(tmp_path, NAME)


def test_where_its_name_is_that_of_an_episode_that_cannot_be_read_it_gets_the_next(tmp_path):
    left_behind(tmp_path)
    recover.main(recover.Args(tmp_path))
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(9 * SECOND, STARTED, name=NAME)
    recorder.save(9 * SECOND + 1)
    damaged = tmp_path / NAME / "manifest.json"
    damaged.write_text("{")
    assert made(tmp_path, NAME) == {NAME: "episode_0002"}
    assert damaged.read_text() == "{" and left_overs(tmp_path) == []
