"""Where an episode is from beside who and what: calibration, clocks, delays."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recordings import CONTRACT, HOME, SECOND, STARTED, array_cdr, feed, joint_state_cdr, record

from vdd_ros import cli
from vdd_ros.beside import Beside
from vdd_ros.calibration_file import read_calibration
from vdd_ros.clock_offset import (
    ClockJumps,
    ClockOffset,
    Exchange,
    clock_fault,
    clock_nodes,
    clock_offset,
)
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.errors import UserError
from vdd_ros.manifest import Calibration, Manifest

TEXT = "format_version: 1\nmade: 2025-12-01\njoint_offsets: [0.01, -0.02]\n"
MS = 1_000_000


def calibration_file(folder: Path, text: str = TEXT, name: str = "calibration.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def limited(**limits: float) -> Contract:
    return Contract.from_dict(CONTRACT.to_dict() | {"recording": limits})


def recorded(folder: Path, contract: Contract = CONTRACT, calibration=None, note=None) -> Manifest:
    """A clean episode, saved; note(beside): what is noted while it is recorded."""
    recorder = DemoRecorder(contract, folder, "episode", "avoid", calibration=calibration)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 0.6)
    if note:
        note(recorder.beside)
    recorder.save(SECOND + round(0.6 * SECOND))
    return Manifest.read(folder / recorder.name)


def odd(manifest: Manifest, word: str) -> list[str]:
    return [reason for reason in manifest.verdict.reasons if word in reason]


@pytest.mark.parametrize("made", ["2025-12-01", "'2025-12-01'", "2025-12-01T10:00:00+01:00"])
def test_an_episode_keeps_checksum_and_day_of_its_calibration(made, tmp_path):
    text = f"format_version: 1\nmade: {made}\ncamera: {{anything: at all}}\n"
    calibration = read_calibration(calibration_file(tmp_path, text))
    manifest = recorded(tmp_path / "episodes", calibration=calibration)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    assert manifest.calibration == Calibration(sha256=sha256, made="2025-12-01")
    assert not odd(manifest, "calibration")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "made: 2025-12-01\n",
            "format_version is None; write `format_version: 1` at its beginning",
        ),
        ("format_version: one\nmade: 2025-12-01\n", "format_version is 'one'"),
        ("format_version: 1\n", "made is None; write the day it was made"),
        ("format_version: 1\nmade: yesterday\n", "made is 'yesterday'"),
        ("- 1\n", "is no map of keys: name a calibration file"),
        ("a: [\n", "is not a readable YAML file"),
    ],
)
def test_what_is_no_calibration_file_is_refused(text, told, tmp_path):
    with pytest.raises(UserError, match=told.replace("[", r"\[")):
        read_calibration(calibration_file(tmp_path, text))


def test_one_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no calibration file at"):
        read_calibration(tmp_path / "calibration.yaml")


def test_an_old_calibration_is_told_where_the_contract_says_how_old(tmp_path):
    calibration = Calibration(sha256="0" * 64, made="2025-12-01")  # 32 days before STARTED
    told = odd(recorded(tmp_path / "a", limited(calibration_days=30), calibration), "calibration")
    assert told == [
        "the calibration is 32 days old (at most 30): calibrate anew (WARN)",
    ]
    assert not odd(recorded(tmp_path / "b", limited(calibration_days=32), calibration), "calib")
    late = Calibration(sha256="0" * 64, made="2026-01-03")
    assert "after the recording" in odd(recorded(tmp_path / "c", calibration=late), "calib")[0]


def test_another_calibration_than_that_of_the_last_episode_is_told(tmp_path):
    first, second = (Calibration(sha256=digit * 64, made="2026-01-01") for digit in "ab")
    assert not odd(recorded(tmp_path), "calibration"), "no episode is there yet"
    told = odd(recorded(tmp_path, calibration=first), "calibration")
    assert told == [
        "the calibration is aaaaaaaaaaaa, and that of episode_0001 none: is it meant? (WARN)"
    ]
    assert not odd(recorded(tmp_path, calibration=first), "calibration")
    assert "and that of episode_0003 aaaa" in odd(recorded(tmp_path, calibration=second), "cal")[0]


def test_vdd_dataset_tells_how_many_calibrations_there_are(tmp_path, capsys):
    for digit in "aab":
        recorded(tmp_path, calibration=Calibration(sha256=digit * 64, made="2026-01-01"))
    wanted = {"aaaaaaaaaaaa of 2026-01-01": 2, "bbbbbbbbbbbb of 2026-01-01": 1}
    for tool in ("check", "stats"):
        assert cli.main(["dataset", tool, str(tmp_path), "--json"]) == 0
        said = capsys.readouterr().out
        assert json.loads(said.splitlines()[-1])["calibrations"] == wanted
    assert cli.main(["dataset", "check", str(tmp_path)]) == 0
    assert "2 different calibrations" in capsys.readouterr().out


@pytest.mark.parametrize("there_ms", [0.2, 3.0])
@pytest.mark.parametrize("ahead_ms", [-40.0, 0.0, 7.0])
def test_the_offset_of_a_clock_is_within_what_is_said(ahead_ms, there_ms):
    """Messages that take another time there than back, by clocks that differ."""
    rng, exchanges = np.random.default_rng(0), []
    for k in range(10):
        sent = k * 20 * MS
        there, back = ((there_ms, 0.5) + rng.exponential(2.0, 2)) * MS
        heard = sent + there
        answered = heard + 0.3 * MS
        times = (sent, heard + ahead_ms * MS, answered + ahead_ms * MS, answered + back)
        exchanges.append(Exchange(*map(round, times)))
    found = clock_offset(exchanges)
    assert abs(found.offset_s - ahead_ms * 1e-3) <= found.within_s + 1e-9
    least = min(one.delay_ns for one in exchanges)
    assert found.within_s == pytest.approx(least / 2e9)


@pytest.mark.parametrize(
    ("offset_s", "within_s", "told"),
    [
        (0.003, 0.002, None),
        (-0.008, 0.001, None),
        (0.050, 0.001, r"robot is 0.0500 s ahead \(within 0.0010\) \(at most 0.01\): let chrony"),
        (-0.050, 0.001, "robot is 0.0500 s behind"),
        (0.001, 0.020, "whether the clock of robot is within 0.01 s cannot be told"),
        (0.0095, 0.001, "cannot be told"),
    ],
)
def test_a_clock_that_is_off_or_may_be_is_a_fault(offset_s, within_s, told):
    found = clock_fault("robot", ClockOffset(offset_s, within_s), 0.01)
    if told is None:
        assert found is None
    else:
        with pytest.raises(UserError, match=told):
            raise UserError(found)


def test_clock_nodes_are_named_by_host():
    assert clock_nodes("") == {}
    assert clock_nodes(" a.lab:/robot/clock_node  b:clock_node") == {
        "a.lab": "/robot/clock_node",
        "b": "clock_node",
    }
    for wrong in ("robot", "robot:", ":/clock", "robot:/a b", "r:/a r:/b", "robot:/a/"):
        with pytest.raises(UserError, match="write HOST:NODE"):
            clock_nodes(wrong)


def test_clocks_of_other_hosts_are_kept_and_one_that_went_off_fails(tmp_path):
    def note(beside):
        for offset_s in (0.002, 0.004, -0.001):
            beside.note_clock("robot", ClockOffset(offset_s, 0.0005))

    fine = recorded(tmp_path / "a", note=note)
    assert fine.clocks["robot"].model_dump() == {
        "measured": 3,
        "offset_s": 0.002,
        "least_s": -0.001,
        "most_s": 0.004,
        "within_s": 0.0005,
    }
    assert not odd(fine, "clock")
    strict = recorded(tmp_path / "b", limited(clock_offset_s=0.003), note=note)
    assert strict.verdict.level == "FAIL"
    assert odd(strict, "the clock of robot is 0.0040 s ahead")


def test_a_clock_that_fell_silent_is_told_with_its_episode_and_no_other(tmp_path):
    def note(beside):
        beside.note_clock("robot", ClockOffset(0.001, 0.0005))
        beside.note_silence("robot")
        beside.note_silence("robot")  # as every second
        beside.note_clock("robot", ClockOffset(0.001, 0.0005))

    found = recorded(tmp_path, note=note)
    assert found.verdict.level != "PASS"
    assert len(odd(found, "the clock of robot did not answer for a while")) == 1
    beside = Beside()
    note(beside)
    beside.begin()
    assert not list(beside.findings(CONTRACT.recording))


def test_an_episode_begins_with_what_is_known_of_a_clock_and_no_older_jump(tmp_path):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.beside.note_clock("robot", ClockOffset(0.5, 0.0))
    recorder.beside.note_clock("robot", ClockOffset(0.001, 0.0))
    recorder.beside.note_jump("the clock jumped back by 3.000 s")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 0.6)
    recorder.save(SECOND + round(0.6 * SECOND))
    manifest = Manifest.read(tmp_path / recorder.name)
    assert manifest.clocks["robot"].measured == 1 and not odd(manifest, "clock")


@pytest.mark.parametrize(
    ("leap_s", "told"),
    [
        (0.0, None),
        (0.05, None),
        (-0.05, None),
        (2.0, "the clock jumped forward by 2.000 s"),
        (-0.3, "the clock jumped back by 0.300 s"),
    ],
)
def test_a_clock_that_leaps_is_told_once(leap_s, told):
    jumps = ClockJumps()
    assert jumps.look(10 * SECOND, 5 * SECOND) is None
    assert jumps.look(round((11 + leap_s) * SECOND), 6 * SECOND) == told
    assert jumps.look(round((12 + leap_s) * SECOND), 7 * SECOND) is None


def test_a_recording_through_which_the_clock_leapt_fails(tmp_path):
    found = recorded(tmp_path, note=lambda beside: beside.note_jump("the clock jumped forward"))
    assert found.verdict.level == "FAIL"
    assert odd(found, "the clock jumped forward while it was recorded")


def test_delays_from_stamp_to_receipt_are_kept(tmp_path):
    streams = Manifest.read(tmp_path / record(tmp_path, 0.5)).streams
    assert streams["joint_state"].delay_s == streams["joint_state"].delay_p95_s == 0.0003
    assert streams["teleop_command"].delay_s == 0.0004
    assert streams["robot_command"].delay_s is None, "its messages have no stamps"


def test_delays_that_vary_have_a_larger_95th_percentile(tmp_path):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    for tick in range(200):
        now = SECOND + tick * 5 * MS
        late = 10 * MS if tick % 10 == 0 else MS
        recorder.add("joint_state", joint_state_cdr(now, HOME), now + late)
    recorder.save(2 * SECOND)
    found = Manifest.read(tmp_path / recorder.name).streams["joint_state"]
    assert (found.delay_s, found.delay_p95_s) == (0.001, 0.01)


@pytest.mark.parametrize("lag_ms", [12, 47, 130])
def test_how_long_joints_take_to_move_is_found(lag_ms, tmp_path):
    """Three joints that follow their commands, one that stands still, one that does as it likes."""
    contract, limits = CONTRACT, [CONTRACT.limit(name) for name in ("lower", "upper")]
    middle = sum(limits) / 2

    def asked(time_s: float) -> np.ndarray:
        waves = 0.2 * np.sin(2 * np.pi * (0.5 + 0.2 * np.arange(7)) * time_s + np.arange(7))
        return middle + waves + 0.1 * np.sin(5.1 * time_s)

    recorder = DemoRecorder(contract, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    for tick in range(1600):  # 8 s
        now, time_s = SECOND + tick * 5 * MS, tick * 5e-3
        position = asked(time_s - lag_ms * 1e-3)
        position[3:5] = middle[3], middle[4] + 0.2 * np.sin(29 * time_s)
        recorder.add("joint_state", joint_state_cdr(now, position), now)
        if tick % 2 == 0:
            recorder.add("robot_command", array_cdr(asked(time_s)), now)
    recorder.save(SECOND + 8 * SECOND)
    found = Manifest.read(tmp_path / recorder.name).response_s
    names = contract.joint_names
    assert found.keys() == {*names[:3], *names[5:]}
    assert list(found.values()) == pytest.approx([lag_ms * 1e-3] * 5, abs=1.5e-3)


def test_a_short_recording_tells_no_such_time(tmp_path):
    assert Manifest.read(tmp_path / record(tmp_path, 0.5)).response_s == {}


def test_manifests_of_before_are_read(tmp_path):
    path = tmp_path / record(tmp_path, 0.5)
    raw = json.loads((path / "manifest.json").read_text())
    for key in ("calibration", "clocks", "response_s"):
        del raw[key]
    for stream in raw["streams"].values():
        del stream["delay_s"], stream["delay_p95_s"]
    (path / "manifest.json").write_text(json.dumps(raw))
    assert Manifest.read(path).calibration is None


def test_the_hash_of_a_contract_without_these_limits_is_what_it_was():
    assert not {"calibration_days", "clock_offset_s"} & set(CONTRACT.to_dict()["recording"])


def test_what_the_last_episode_does_not_tell_of_its_calibration_is_not_compared(tmp_path):
    own = read_calibration(calibration_file(tmp_path))
    recorded(tmp_path / "episodes", calibration=own)
    assert odd(recorded(tmp_path / "episodes"), "calibration"), "another one than before"
    path = tmp_path / "episodes" / "episode_0002" / "manifest.json"
    for damaged in ("{", "[]", '{"calibration": [1]}'):
        path.write_text(damaged)
        found = recorded(tmp_path / "episodes", calibration=own)
        assert not odd(found, "calibration")
        shutil.rmtree(tmp_path / "episodes" / found.name)
