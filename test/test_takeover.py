"""Takeovers: labelled when recorded, and the only thing that is learned of a policy's episode."""

import json

import numpy as np
import pytest
from recordings import CONTRACT, SECOND, STARTED, feed, joint_state_cdr, position_at, record

from vdd_ros import cli
from vdd_ros.command_gate import CommandGate
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore, StreamData
from vdd_ros.errors import UserError
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.policies.windows import windows_of
from vdd_ros.takeover import Segment, takeovers

PERSON = ((0.5, 0.9), (1.4, 1.7))  # when a person drives [s]


def record_with_policy(folder, person=PERSON, seconds=2.0, name="run") -> str:
    """A policy drives for `seconds`, and a person now and then."""
    recorder = DemoRecorder(CONTRACT, folder, name, "avoid")
    recorder.start(SECOND, STARTED)

    def nobody(stream, time_ns):
        since_s = round((time_ns - SECOND) / SECOND, 6)
        driven = any(begin <= since_s <= end for begin, end in person)
        return stream == "teleop_command" and not driven

    feed(recorder, SECOND, seconds, nobody)
    for tick in range(round(seconds * 100)):
        now = SECOND + tick * 10_000_000
        recorder.add("policy_command", joint_state_cdr(now, position_at(now)), now + 500_000)
    recorder.save(SECOND + round(seconds * SECOND))
    return recorder.name


def test_where_a_person_drove_is_found_and_kept_with_the_episode(tmp_path):
    store = EpisodeStore(tmp_path, CONTRACT)
    episode = store.load(record_with_policy(tmp_path))
    expected = [Segment(*(SECOND + round(t * SECOND) for t in one)) for one in PERSON]
    assert takeovers(CONTRACT, episode.streams) == expected
    assert episode.manifest.meta["takeovers_s"] == [list(one) for one in PERSON]
    assert episode.manifest.verdict.level == "PASS", episode.manifest.verdict


def test_without_a_policy_everything_is_a_demonstration(tmp_path):
    episode = EpisodeStore(tmp_path, CONTRACT).load(record(tmp_path))
    assert takeovers(CONTRACT, episode.streams) is None
    assert "takeovers_s" not in episode.manifest.meta


def test_only_what_a_person_did_is_learned(tmp_path):
    store = EpisodeStore(tmp_path, CONTRACT)
    corrected = store.load(record_with_policy(tmp_path))
    demonstration = store.load(record(tmp_path, 0.5))
    windows = windows_of(CONTRACT, [corrected, demonstration], 2, 8)
    assert np.bincount(windows.episode) == pytest.approx([41 + 31, 50], abs=3)
    whole = windows_of(CONTRACT, [demonstration], 2, 8)
    np.testing.assert_array_equal(windows.of_episodes(np.array([1])).chunks, whole.chunks)
    # a chunk ends with the person's last command, not with what came after
    first = windows.of_episodes(np.array([0]))
    end = round(100 * (PERSON[0][1] - PERSON[0][0])) - 1  # the last tick of the first takeover
    last = position_at(SECOND + round(PERSON[0][1] * SECOND)) + 0.001
    np.testing.assert_allclose(first.chunks[end, 1:], np.tile(last, (7, 1)), atol=1e-3)
    assert first.is_pad[end, 1:].all() and not first.is_pad[end, 0]


def test_what_a_leader_says_to_an_arm_that_was_stopped_is_not_learned(tmp_path):
    store = EpisodeStore(tmp_path, CONTRACT)
    recorder = DemoRecorder(CONTRACT, tmp_path, "stopped", "avoid")
    recorder.start(SECOND, STARTED)
    stop_ns = SECOND + SECOND // 2

    def stopped(stream, time_ns):
        return stream == "robot_command" and time_ns > stop_ns

    feed(recorder, SECOND, 2.0, stopped)
    for tick in range(50):
        now = SECOND + tick * 10_000_000
        recorder.add("policy_command", joint_state_cdr(now, position_at(now)), now)
    recorder.save(3 * SECOND)
    episode = store.load(recorder.name)
    (found,) = takeovers(CONTRACT, episode.streams)
    assert found.end_ns == pytest.approx(stop_ns, abs=20_000_000)
    assert len(windows_of(CONTRACT, [episode], 2, 8).episode) == pytest.approx(50, abs=3)


@pytest.mark.parametrize(
    ("stamped", "asked"),
    [
        (lambda now, tick: now - SECOND, lambda where: where),  # his clock is a second behind
        (lambda now, tick: now + SECOND, lambda where: where),
        (lambda now, tick: now, lambda where: where * np.nan),
        (lambda now, tick: SECOND, lambda where: where),  # one and the same message
    ],
)
def test_a_leader_whom_the_gate_refused_took_nothing_over(tmp_path, stamped, asked):
    """The policy drove on meanwhile: its own doing is no correction."""
    recorder = DemoRecorder(CONTRACT, tmp_path, "refused", "avoid")
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, 2.0, lambda stream, time_ns: stream == "teleop_command")
    for tick in range(200):
        now = SECOND + tick * 10_000_000
        where = position_at(now)
        recorder.add("policy_command", joint_state_cdr(now, where), now + 500_000)
        led = joint_state_cdr(stamped(now, tick), asked(where))
        recorder.add("teleop_command", led, now + 400_000)
    recorder.save(3 * SECOND)
    episode = EpisodeStore(tmp_path, CONTRACT).load(recorder.name)
    assert len(episode.streams["teleop_command"]) == 200
    assert takeovers(CONTRACT, episode.streams) == []
    assert episode.manifest.meta["takeovers_s"] == []


def driven(hears_leader: bool) -> dict[str, StreamData]:
    """Two seconds of a gate that a policy drives, and in the second one a leader as well, who wants
    it elsewhere; the streams as they were said."""
    gate, arm = CommandGate(CONTRACT), position_at(0)
    said: dict[str, list] = {"policy_command": [], "teleop_command": [], "robot_command": []}
    for tick in range(200):
        now = SECOND + tick * 10_000_000
        gate.observe(arm, now)
        # as of a policy, a little ahead of where the arm is; a leader wants it far away at once
        wants = {"policy": arm + 0.05 * np.array([1, -1, 1, 1, 0, 0, 1.0])}
        if tick >= 100:
            wants["teleop"] = position_at(0) + np.array([-0.4, 0.1, 0.3, -0.2, 0.3, 0.1, -0.3])
        heard = [name for name in wants if name == "policy" or hears_leader]
        outputs = [gate.submit(name, wants[name], now, now) for name in heard]
        output = next((one for one in outputs[::-1] if one is not None), None) or gate.tick(now)
        for name, position in wants.items():
            said[f"{name}_command"].append((now, position))
        if output is not None:
            arm = output.position
            said["robot_command"].append((now, arm))
    return {name: stream_of(messages) for name, messages in said.items()}


def stream_of(messages: list[tuple[int, np.ndarray]]) -> StreamData:
    stamps_ns = np.array([stamp_ns for stamp_ns, _ in messages])
    return StreamData(stamps_ns, stamps_ns, {"position": np.array([one for _, one in messages])})


def test_a_leader_whom_the_gate_did_not_hear_took_nothing_over():
    """As over a network that told the recorder and not the robot."""
    (found,) = takeovers(CONTRACT, driven(hears_leader=True))
    assert found.begin_ns == 2 * SECOND and found.end_ns == SECOND + 199 * 10_000_000
    assert takeovers(CONTRACT, driven(hears_leader=False)) == []


def test_a_policy_that_nobody_corrected_teaches_nothing(tmp_path):
    store = EpisodeStore(tmp_path, CONTRACT)
    alone = store.load(record_with_policy(tmp_path, person=()))
    assert takeovers(CONTRACT, alone.streams) == []
    with pytest.raises(UserError, match="nobody took over"):
        windows_of(CONTRACT, [alone], 2, 8)
    training = TrainingConfig(steps=2)
    for order in ([record, record_with_policy], [record_with_policy, record]):
        folder = tmp_path / f"order-{order[0].__name__}"
        for make in order:
            make(folder, **({"person": ()} if make is record_with_policy else {}))
        names = EpisodeStore(folder).list()
        ordered = names if order[0] is record else names[::-1]
        episodes = [EpisodeStore(folder, CONTRACT).load(name) for name in ordered]
        with pytest.raises(UserError, match="nobody took over in the episodes of a policy that"):
            train_teacher(CONTRACT, episodes, tmp_path / "run", TeacherConfig(), training, 1)
    both = windows_of(CONTRACT, [alone, store.load(record(tmp_path, 0.5))], 2, 8)
    assert set(both.episode) == {1}


@pytest.fixture
def folders(tmp_path):
    """Corrections of a policy, and the demonstrations that it had learned from."""
    record_with_policy(tmp_path / "corrections")
    for _ in range(2):
        record(tmp_path / "demos", 0.5, way=3)
    return tmp_path


def test_folders_become_one_and_every_recording_stays_as_it_was(folders, capsys):
    words = [str(folders / name) for name in ("corrections", "demos")]
    assert cli.main(["dataset", "merge", *words, "--out", str(folders / "all"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["episodes"] == 3 and told["from"] == {"a": 1, "b": 2}
    store = EpisodeStore(folders / "all", CONTRACT)
    assert store.list() == ("a_run_0001", "b_episode_0001", "b_episode_0002")
    for name in store.list():
        merged = store.load(name)
        source = folders / ("corrections" if name[0] == "a" else "demos")
        original = EpisodeStore(source, CONTRACT).load(name[2:])
        assert merged.name == name and merged.manifest.meta == original.manifest.meta
        assert merged.manifest.files == original.manifest.files
    assert not list(folders.glob(".part-*"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "all").mkdir(), "is there already"),
        (lambda f: next((f / "demos").glob("*/*.mcap")).write_bytes(b""), "truncated"),
        (lambda f: [p.unlink() for p in f.glob("*/*/manifest.json")], "not a saved episode"),
    ],
)
def test_what_cannot_be_merged_leaves_nothing_behind(folders, capsys, spoil, said):
    spoil(folders)
    before = sorted(folders.rglob("*"))
    words = [str(folders / name) for name in ("corrections", "demos")]
    assert cli.main(["dataset", "merge", *words, "--out", str(folders / "all")]) == 2
    assert said in capsys.readouterr().err
    assert sorted(folders.rglob("*")) == before


def test_episodes_of_another_robot_are_not_merged(folders, capsys):
    raw = CONTRACT.to_dict()
    raw["rates"]["policy_hz"] = 5.0
    record(folders / "other", contract=type(CONTRACT).from_dict(raw, "other"))
    words = [str(folders / name) for name in ("demos", "other")]
    assert cli.main(["dataset", "merge", *words, "--out", str(folders / "all")]) == 2
    assert "another interface" in capsys.readouterr().err
