"""Split, trim and delete: what was recorded stays as it was, all of it or nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recordings import CONTRACT, HOME, SECOND, STARTED, array_cdr, feed, joint_state_cdr, record

from vdd_ros import cli
from vdd_ros.bag import read_bag
from vdd_ros.commands.bench.disk_crashes import Disk, digest, read, write
from vdd_ros.commands.bench.disk_trace import Operation, traced
from vdd_ros.commands.dataset import check, delete, merge, recover, split, trim
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import LOG, EpisodeLog
from vdd_ros.errors import UserError
from vdd_ros.manifest import Provenance, Verdict
from vdd_ros.part import left_overs


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Ten episodes of two operators; every third is a failure, the last was not labelled."""
    folder = tmp_path_factory.mktemp("recorded")
    for number in range(10):
        who = Provenance(operator=("otter", "heron")[number % 2])
        label = {} if number == 9 else {"success": number % 3 != 0}
        record(folder, 0.5 + 0.01 * number, provenance=who, **label)
    return folder


@pytest.fixture
def demos(recorded, tmp_path):
    """A folder of them for each test."""
    return shutil.copytree(recorded, tmp_path / "demos")


def names_in(folder) -> tuple[str, ...]:
    return EpisodeStore(folder).list()


def bin_of(folder) -> list[str]:
    return [path.name for path in (folder / ".deleted").iterdir()]


def is_sound(folder) -> bool:
    result = check.main(check.Args(folder))
    return result["ok"] and set(result["verdicts"]) == {"PASS"}


def test_a_folder_without_an_episode_is_no_sound_data_set(tmp_path):
    with pytest.raises(UserError, match="there is no episode in .*: record or import some first"):
        check.main(check.Args(tmp_path))


class TestSplit:
    def test_every_episode_is_in_one_part_and_as_it_was(self, demos, tmp_path):
        out = tmp_path / "parts"
        args = split.Args(demos, out, into=("test:20%", "val:1", "train:rest"), shuffle=True)
        parts = split.main(args)["parts"]
        assert [len(parts[part]) for part in ("test", "val", "train")] == [2, 1, 7]
        assert sorted(sum(parts.values(), [])) == list(names_in(demos))
        for part, names in parts.items():
            assert list(names_in(out / part)) == names and is_sound(out / part)
            for name in names:
                recording = f"{name}/{name}_0.mcap"
                assert (demos / recording).samefile(out / part / recording)
        told = json.loads((out / "split.json").read_text())
        assert told["parts"] == parts and told["arguments"]["seed"] == 0

    def test_the_same_seed_gives_the_same_parts_and_another_one_others(self, demos, tmp_path):
        def parts(seed: int, name: str) -> dict:
            into = ("a:50%", "b:rest")
            args = split.Args(demos, tmp_path / name, into=into, shuffle=True, seed=seed)
            return split.main(args)["parts"]

        assert parts(3, "one") == parts(3, "two") != parts(4, "three")

    @pytest.mark.parametrize(
        ("by", "wanted"),
        [
            ("label", {"success": 6, "failure": 3, "none": 1}),
            ("operator", {"otter": 5, "heron": 5}),
            ("verdict", {"PASS": 10}),
            ("success", {"True": 6, "False": 3, "none": 1}),
        ],
    )
    def test_by_what_episodes_say(self, demos, tmp_path, by, wanted):
        parts = split.main(split.Args(demos, tmp_path / "parts", by=by))["parts"]
        assert {part: len(names) for part, names in parts.items()} == wanted

    def test_by_name(self, demos, tmp_path):
        into = ("odd:episode_0003,episode_0001", "rest:rest")
        parts = split.main(split.Args(demos, tmp_path / "parts", into=into))["parts"]
        assert parts["odd"] == ["episode_0001", "episode_0003"] and len(parts["rest"]) == 8

    @pytest.mark.parametrize(
        ("into", "sentence"),
        [
            (("a:episode_0001", "b:episode_0001"), "episode_0001 would be in two parts"),
            (("a:8", "b:3"), "11 episodes are asked for and 10 are to be had"),
            (("a:80%", "b:30%"), "shares of 110%"),
            (("a:10", "b:rest"), "nothing is left for b"),
            (("a:rest", "b:rest"), "one part may be rest"),
            (("a",), "write NAME:WHAT"),
            (("../a:1",), "write NAME:WHAT"),
            (("a:1", "a:2"), "part a is named twice"),
            (("a:nowhere",), "no episode nowhere"),
            ((), "say --into or --by"),
        ],
    )
    def test_what_cannot_be_is_told_and_nothing_is_made(self, demos, tmp_path, into, sentence):
        with pytest.raises(UserError, match=sentence):
            split.main(split.Args(demos, tmp_path / "parts", into=into))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["demos"]

    def test_one_recording_is_never_in_two_parts_whatever_its_names(self, demos, tmp_path):
        both = tmp_path / "both"
        merge.main(merge.Args((demos, demos), both))
        with pytest.raises(UserError, match="b_episode_0001 is of the same recording as a_e"):
            split.main(split.Args(both, tmp_path / "parts", into=("a:50%", "b:rest")))
        by = split.main(split.Args(both, tmp_path / "parts", by="operator"))["parts"]
        assert [len(names) for names in by.values()] == [10, 10]

    def test_a_damaged_episode_ends_it_with_nothing_made(self, demos, tmp_path):
        recording = demos / "episode_0004" / "episode_0004_0.mcap"
        recording.write_bytes(recording.read_bytes()[:-1])
        words = ["dataset", "split", str(demos), "--out", str(tmp_path / "p"), "--into", "a:rest"]
        assert cli.main(words) == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ["demos"]


def test_what_is_declared_at_length_is_named_and_not_listed(tmp_path, capsys):
    record(tmp_path, 0.5, way="left", marks=[0.125, 0.25])
    check.main(check.Args(tmp_path))
    said = capsys.readouterr().out
    assert "marks" in said and "0.125" not in said and "left" in said


class TestDelete:
    def test_into_the_bin_and_back(self, demos):
        before = EpisodeStore(demos).load("episode_0003")
        args = delete.Args(demos, ("episode_0003",), yes=True)
        assert delete.main(args)["deleted"] == ["episode_0003"]
        assert "episode_0003" not in names_in(demos) and is_sound(demos)
        assert (demos / ".deleted" / "episode_0003" / "manifest.json").is_file()
        delete.main(delete.Args(demos, ("episode_0003",), restore=True))
        assert EpisodeStore(demos).load("episode_0003").manifest == before.manifest
        assert is_sound(demos)

    def test_for_good_with_purge_which_also_empties_the_bin(self, demos):
        delete.main(delete.Args(demos, ("episode_0001",), yes=True))
        delete.main(delete.Args(demos, ("episode_0002",), purge=True, yes=True))
        assert bin_of(demos) == ["episode_0001"]
        assert delete.main(delete.Args(demos, purge=True, yes=True))["deleted"] == ["episode_0001"]
        assert bin_of(demos) == [] and is_sound(demos)
        assert record(demos, 0.5) == "episode_0011"

    @pytest.mark.parametrize(
        ("words", "count"),
        [
            (["--label", "failure"], 3),
            (["--label", "none"], 1),
            (["--operator", "heron"], 5),
            (["--operator", "heron", "--label", "failure"], 1),
            (["--shorter-than", "0.525"], 3),
            (["episode_0001", "episode_0002", "--operator", "otter"], 1),
        ],
    )
    def test_by_condition(self, demos, words, count):
        assert cli.main(["dataset", "delete", str(demos), *words, "--yes"]) == 0
        assert len(names_in(demos)) == 10 - count

    def test_what_cannot_be_read_can_be_deleted(self, demos):
        (demos / "episode_0002" / "manifest.json").write_text("{")
        recording = demos / "episode_0005" / "episode_0005_0.mcap"
        recording.write_bytes(recording.read_bytes()[:-1])
        assert cli.main(["dataset", "delete", str(demos), "--verdict", "BROKEN", "--yes"]) == 0
        assert len(names_in(demos)) == 8 and is_sound(demos)

    def test_a_vanished_episode_can_be_forgotten(self, demos):
        (demos / "episode_0002").rename(demos.parent / "elsewhere")
        assert not check.main(check.Args(demos))["ok"]
        delete.main(delete.Args(demos, ("episode_0002",), yes=True))
        assert is_sound(demos)

    def test_one_that_was_ended_halfway_has_lost_nothing(self, demos):
        """The folder is in the bin, the line was not written."""
        (demos / ".deleted").mkdir()
        (demos / "episode_0002").rename(demos / ".deleted" / "episode_0002")
        assert is_sound(demos)
        delete.main(delete.Args(demos, ("episode_0002",), restore=True))
        assert len(names_in(demos)) == 10 and is_sound(demos)

    def test_it_asks(self, demos, monkeypatch, capsys):
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
        with pytest.raises(UserError, match="nobody can be asked here: say --yes"):
            delete.main(delete.Args(demos, ("episode_0001",)))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question: "n")
        assert delete.main(delete.Args(demos, ("episode_0001",)))["deleted"] == []
        assert "episode_0001" in capsys.readouterr().out and len(names_in(demos)) == 10
        monkeypatch.setattr("builtins.input", lambda question: "y")
        assert delete.main(delete.Args(demos, ("episode_0001",)))["deleted"] == ["episode_0001"]

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            ({"names": ("none",)}, "no episode none"),
            ({}, "name some, see"),
            ({"restore": True}, "name them"),
            ({"restore": True, "names": ("../demos",)}, "no ../demos in"),
        ],
    )
    def test_what_cannot_be_is_told(self, demos, args, sentence):
        with pytest.raises(UserError, match=sentence):
            delete.main(delete.Args(demos, yes=True, **args))
        assert len(names_in(demos)) == 10


@pytest.fixture
def whitewashed(tmp_path):
    """A folder of one FAIL that was labelled a failure, and whose manifest says otherwise now."""
    folder = tmp_path / "whitewashed"
    failed = Verdict(level="FAIL", reasons=("the cup fell (FAIL)",))
    name = record(folder, 0.5, verdict=failed, success=False)
    path = folder / name / "manifest.json"
    told = json.loads(path.read_text())
    changed = {"verdict": {"level": "PASS", "reasons": []}, "meta": {"success": True}}
    path.write_text(json.dumps(told | changed))
    return folder


class TestAlteredStaysAltered:
    """No tool makes a sound episode of one that was changed after it was saved."""

    @pytest.mark.parametrize("through", ["merge", "split"])
    def test_it_is_not_taken_into_another_folder(self, whitewashed, tmp_path, through):
        out = tmp_path / "out"
        with pytest.raises(UserError, match="not the one that was saved"):
            if through == "merge":
                merge.main(merge.Args((whitewashed,), out))
            else:
                split.main(split.Args(whitewashed, out, into=("all:rest",)))
        assert not out.exists()

    @pytest.mark.parametrize("changed", ["before", "in the bin"])
    def test_the_bin_does_not_mend_it(self, demos, whitewashed, changed, capsys):
        folder = whitewashed if changed == "before" else demos
        delete.main(delete.Args(folder, ("episode_0001",), yes=True))
        if changed == "in the bin":
            path = folder / ".deleted" / "episode_0001" / "manifest.json"
            path.write_text(path.read_text().replace('"task": "avoid"', '"task": "other"'))
        delete.main(delete.Args(folder, ("episode_0001",), restore=True))
        assert "its manifest is not the one that was saved" in capsys.readouterr().out
        row = check.main(check.Args(folder))["episodes"][0]
        assert (row["name"], row["verdict"]) == ("episode_0001", "BROKEN")

    def test_of_two_deleted_under_one_name_each_is_known(self, tmp_path):
        folder = tmp_path / "twice"
        for seconds in (0.5, 0.6):
            recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid")
            recorder.start(SECOND, STARTED, name="same")
            feed(recorder, SECOND, seconds)
            recorder.save(SECOND + int(seconds * SECOND))
            delete.main(delete.Args(folder, ("same",), yes=True))
        for name in ("same", "same.2"):
            delete.main(delete.Args(folder, (name,), restore=True))
            assert is_sound(folder)
            delete.main(delete.Args(folder, ("same",), yes=True))


def record_with_idle_ends(folder, idle_s: float, moving_s: float) -> str:
    """Nobody moves, then joint 1 goes through a sine, then nobody moves."""
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    seconds = 2 * idle_s + moving_s
    for tick in range(round(seconds * 200)):
        now = SECOND + tick * 5_000_000
        phase = np.clip((tick / 200 - idle_s) / moving_s, 0.0, 1.0)
        position = HOME + 0.3 * np.sin(np.pi / 2 * phase) * np.eye(7)[0]
        recorder.add("joint_state", joint_state_cdr(now, position), now + 300_000)
        if tick % 2 == 0:
            recorder.add("robot_command", array_cdr(position), now + 600_000)
    recorder.save(SECOND + round(seconds * SECOND))
    return recorder.name


def disks_while(folder, act) -> list[tuple[str, dict]]:
    """What a folder's disk may hold when the process or the power is ended after any operation of
    what is done there; the model first."""
    disk, begun = Disk(), read(folder)
    for path, content in sorted(begun.items()):
        disk.do(Operation("mkdir" if content is None else "create", path))
        if content is not None:
            disk.do(Operation("write", path, data=content))
        disk.do(Operation("fsync", path))
        disk.do(Operation("fsync", str(Path(path).parent)))
    assert disk.now() == begun
    with traced(folder) as trace:
        act()
    found = [("process", disk.now())]
    for operation in trace.operations:
        disk.do(operation)
        found += [("process", disk.now()), *disk.after_power_cut(np.random.default_rng(0))]
    assert disk.now() == read(folder)
    return list({digest(tree): (model, tree) for model, tree in found}.values())


@pytest.fixture
def three(tmp_path):
    """The root of a folder of three short episodes."""
    for number in range(3):
        record(tmp_path / "root" / "demos", 0.1 + 0.01 * number)
    return tmp_path / "root"


def made(tree: dict, root: Path) -> Path:
    """A disk that holds a tree."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    write(tree, root)
    return root


def sound_in(folder: Path) -> set[str]:
    """Names of the episodes that can be read; what the bin holds is read where it came from."""
    if not folder.is_dir():
        return set()
    for path in folder.glob(".deleted/*"):
        assert not (folder / path.name).exists()
        path.rename(folder / path.name)
    store = EpisodeStore(folder)
    return {name for name in store.list() if store.load(name)}


ALL = {"episode_0001", "episode_0002", "episode_0003"}


def test_a_delete_that_is_ended_anywhere_has_lost_nothing(three, tmp_path):
    args = delete.Args(three / "demos", ("episode_0002",), yes=True)
    disks = disks_while(three, lambda: delete.main(args))
    assert len(disks) > 3
    for model, tree in disks:
        assert sound_in(made(tree, tmp_path / "disk") / "demos") == ALL, model


def test_a_trim_that_is_ended_anywhere_leaves_all_or_nothing_and_the_source(three, tmp_path):
    names = ("episode_0001", "episode_0002")
    args = trim.Args(three / "demos", three / "out", names, begin=0.03)
    found = set()
    for model, tree in disks_while(three, lambda: trim.main(args)):
        disk = made(tree, tmp_path / "disk")
        assert sound_in(disk / "demos") == ALL, model
        found.add(len(sound_in(disk / "out")))
    assert found == {0, 2}


def test_a_recovery_that_is_ended_anywhere_makes_one_episode_when_it_is_done_again(tmp_path):
    root = tmp_path / "root"
    recorder = DemoRecorder(CONTRACT, root / "demos", "episode", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 0.1)
    recorder.annotate({"success": False})
    recorder.close()
    recover.main(recover.Args(root / "demos"))
    disks = disks_while(root, lambda: recover.main(recover.Args(root / "demos", all=True)))
    assert len(disks) > 20
    for model, tree in disks:
        folder = made(tree, tmp_path / "disk") / "demos"
        assert recover.main(recover.Args(folder, all=True))["ok"], model
        (episode,) = map(EpisodeStore(folder).load, names_in(folder))
        counts = {name: len(stream) for name, stream in episode.streams.items()}
        assert counts["joint_state"] == 20 and counts["robot_command"] == 10, model
        assert episode.name == "episode_0001" and episode.manifest.meta["success"] is False, model
        assert check.main(check.Args(folder))["ok"] and left_overs(folder) == [], model


class TestTrim:
    def test_what_is_left_is_the_bytes_that_were_there_with_both_times(self, demos, tmp_path):
        out = tmp_path / "trimmed"
        trim.main(trim.Args(demos, out, ("episode_0010",), begin=0.05, end=0.04))
        name = "episode_0010"
        messages = [read_bag(place / name / f"{name}_0.mcap").messages for place in (demos, out)]
        begin, end = SECOND + 50_000_000, SECOND + 550_000_000
        assert messages[1] == [one for one in messages[0] if begin <= one.received_ns <= end]
        assert 0 < len(messages[1]) < len(messages[0])
        assert names_in(out) == (name,) and is_sound(out) and is_sound(demos)

    def test_the_manifest_says_of_what_and_how(self, demos, tmp_path):
        out, name = tmp_path / "trimmed", "episode_0010"
        trim.main(trim.Args(demos, out, (name,), begin=0.05, end=0.04))
        old, new = (EpisodeStore(place).manifest(name) for place in (demos, out))
        assert new.started_ns == old.started_ns + 50_000_000
        assert new.duration_s == pytest.approx(old.duration_s - 0.09)
        note = new.meta["trimmed"]
        assert note["from"] == name and (note["begin_s"], note["end_s"]) == (0.05, 0.04)
        assert note["recording_sha256"] == old.files[f"{name}_0.mcap"].sha256
        assert note["manifest_sha256"] == EpisodeLog.read(demos).kept[name]
        assert new.provenance == old.provenance and new.started == old.started
        assert json.loads((out / LOG).read_text())["from"] == str(demos / name)

    def test_the_verdict_is_judged_anew(self, demos, tmp_path):
        trim.main(trim.Args(demos, tmp_path / "out", ("episode_0001",), begin=0.4))
        verdict = EpisodeStore(tmp_path / "out").manifest("episode_0001").verdict
        assert verdict.level == "WARN" and "0.10 s short" in verdict.reasons[0]

    def test_what_only_the_manifest_knows_is_kept(self, tmp_path):
        demos, out = tmp_path / "demos", tmp_path / "out"
        reasons = ("camera front is frozen from 0.20 s on (FAIL)", "host arm is 0.3 s ahead (WARN)")
        record(demos, 1.0, verdict=Verdict(level="FAIL", reasons=reasons))
        record(demos, 1.0, verdict=Verdict(level="WARN", reasons=reasons[1:]))
        record(demos, 1.0, verdict=Verdict(level="FAIL"))
        trim.main(trim.Args(demos, out, begin=0.1))
        trim.main(trim.Args(out, tmp_path / "twice", begin=0.1))
        for folder in (out, tmp_path / "twice"):
            first, second, third = (
                EpisodeStore(folder).manifest(name).verdict for name in names_in(folder)
            )
            assert first == Verdict(level="FAIL", reasons=reasons)
            assert second == Verdict(level="WARN", reasons=reasons[1:])
            assert third.level == "FAIL"

    def test_what_was_wrong_in_what_is_cut_is_gone(self, tmp_path):
        demos, out = tmp_path / "demos", tmp_path / "out"
        recorder = DemoRecorder(CONTRACT, demos, "episode", "avoid")
        recorder.start(SECOND, STARTED)
        gap = range(SECOND + 100_000_000, SECOND + 500_000_000)
        feed(recorder, SECOND, 1.5, skip=lambda stream, time_ns: time_ns in gap)
        recorder.save(SECOND + round(1.5 * SECOND))
        assert recorder.verdict.level == "FAIL"
        trim.main(trim.Args(demos, out, begin=0.5))
        assert EpisodeStore(out).manifest("episode_0001").verdict.level == "PASS"

    def test_where_nothing_was_idle_it_says_so(self, demos, tmp_path, capsys):
        args = trim.Args(demos, tmp_path / "out", ("episode_0001",), idle=True, idle_share=0.0)
        trim.main(args)
        assert "nothing was cut" in capsys.readouterr().out

    def test_what_never_moved_by_the_share_is_told_to_be_deleted(self, tmp_path):
        demos, out, share = tmp_path / "demos", tmp_path / "out", 1.01 * 0.3 / CONTRACT.span[0]
        name = record_with_idle_ends(demos, idle_s=0.5, moving_s=1.0)
        args = trim.Args(demos, out, idle=True, idle_share=share)
        with pytest.raises(UserError, match=f"{name}: no joint moves by {share:g} of its range"):
            trim.main(args)
        assert not out.exists() or list(out.iterdir()) == []

    def test_idle_ends_are_cut_where_the_arm_has_moved_by_the_share(self, tmp_path):
        demos, out, share, margin = tmp_path / "demos", tmp_path / "out", 0.01, 0.1
        name = record_with_idle_ends(demos, idle_s=1.0, moving_s=1.0)
        args = trim.Args(demos, out, idle=True, idle_share=share, idle_margin=margin)
        (row,) = trim.main(args)["episodes"]
        reach = share * CONTRACT.span[0] / 0.3
        begin_s = 1.0 + np.arcsin(reach) / (np.pi / 2) - margin
        end_s = 1.0 + 1.0 - np.arcsin(1 - reach) / (np.pi / 2) - margin
        assert row["begin_s"] == pytest.approx(begin_s, abs=0.01)
        assert row["end_s"] == pytest.approx(end_s, abs=0.015)
        assert EpisodeStore(out).manifest(name).meta["trimmed"]["how"].startswith("idle, 0.01 of")

    def test_pieces_of_one_recording_are_known_for_what_they_are(self, demos, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        trim.main(trim.Args(demos, first, ("episode_0001",), begin=0.1))
        trim.main(trim.Args(first, second, end=0.1))
        merge.main(merge.Args((demos, second), tmp_path / "all"))
        with pytest.raises(UserError, match="b_episode_0001 is of the same recording as a_episo"):
            split.main(split.Args(tmp_path / "all", tmp_path / "p", into=("a:10", "b:rest")))

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            ({}, "how many seconds to cut"),
            ({"begin": 1.0, "idle": True}, "how many seconds to cut"),
            ({"begin": 0.3, "end": 0.3}, "nothing would be left"),
            ({"begin": -1.0, "end": 1.0}, "0 or more"),
            ({"begin": 0.1, "names": ("none",)}, "no episode none"),
        ],
    )
    def test_what_cannot_be_is_told_and_nothing_is_made(self, demos, tmp_path, args, sentence):
        with pytest.raises(UserError, match=sentence):
            trim.main(trim.Args(demos, tmp_path / "out", **args))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["demos"]
