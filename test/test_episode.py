"""An episode read back is what was recorded; what is damaged or foreign ends in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import CONTRACT, SECOND, STARTED, array_cdr, joint_state_cdr, position_at, record
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from vdd_ros.commands.dataset import check, show, stats
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import LOG
from vdd_ros.errors import UserError
from vdd_ros.manifest import Provenance


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of one clean episode."""
    return tmp_path / record(tmp_path, way="left")


def load(folder: Path, contract: Contract | None = None):
    return EpisodeStore(folder.parent, contract).load(folder.name)


def test_streams_come_back_as_they_were_recorded(saved):
    episode = load(saved, CONTRACT)
    assert episode.name == "episode_0001"
    assert episode.contract == CONTRACT
    assert episode.manifest.meta == {"way": "left"}
    joints = episode.streams["joint_state"]
    stamps = SECOND + np.arange(100) * 5_000_000
    np.testing.assert_array_equal(joints.stamps_ns, stamps)
    np.testing.assert_array_equal(joints.received_ns, stamps + 300_000)
    positions = np.array([position_at(stamp) for stamp in stamps])
    np.testing.assert_array_equal(joints.fields["position"], positions)
    np.testing.assert_array_equal(joints.fields["velocity"], 0.1 * np.cos(positions))
    command = episode.streams["robot_command"]
    np.testing.assert_array_equal(command.stamps_ns, stamps[::2] + 600_000)
    np.testing.assert_array_equal(command.fields["position"], positions[::2] + 0.001)
    assert list(command.fields) == ["position"]
    assert len(episode.streams["policy_command"]) == 0
    assert episode.streams["policy_command"].fields["position"].shape == (0, 7)


def test_joints_are_matched_by_name_never_by_order(tmp_path):
    recorder = DemoRecorder(CONTRACT, tmp_path, "episode", "avoid")
    recorder.start(SECOND, STARTED)
    shuffled = ["finger", *reversed(CONTRACT.joint_names)]
    values = np.arange(1.0, 8.0)
    scrambled = joint_state_cdr(SECOND, [9.0, *values[::-1]], [8.0, *-values[::-1]], shuffled)
    recorder.add("joint_state", scrambled, SECOND)
    recorder.add("joint_state", joint_state_cdr(SECOND + 1, [1.0], names=["finger"]), SECOND)
    recorder.add("joint_state", joint_state_cdr(SECOND + 2, values), SECOND)
    recorder.add("joint_state", joint_state_cdr(SECOND + 3, values[:3]), SECOND)
    recorder.add("robot_command", array_cdr(values[:6]), SECOND)
    recorder.save(SECOND)
    streams = EpisodeStore(tmp_path).load(recorder.name).streams
    joints = streams["joint_state"]
    assert (len(joints), joints.incomplete) == (2, 2)
    np.testing.assert_array_equal(joints.fields["position"], [values, values])
    np.testing.assert_array_equal(joints.fields["velocity"], [-values, np.full(7, np.nan)])
    assert (len(streams["robot_command"]), streams["robot_command"].incomplete) == (0, 1)


def test_the_folder_opens_as_a_rosbag2(saved):
    """Every message deserialises by the definitions inside the file, and every count agrees."""
    episode = load(saved)
    with Reader(saved) as bag:
        assert bag.message_count == 200
        assert bag.duration == 495_000_000 + 1, "rosbags counts the last nanosecond in"
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
        reliability = {
            connection.topic: connection.ext.offered_qos_profiles[0].reliability.name
            for connection in bag.connections
        }
    for name, stream in CONTRACT.streams.items():
        assert counts[stream.recorded_topic] == len(episode.streams[name])
        assert reliability[stream.recorded_topic] == stream.reliability.upper()
    with AnyReader([saved]) as bag:
        decoded = [
            (connection.topic, time_ns, bag.deserialize(raw, connection.msgtype))
            for connection, time_ns, raw in bag.messages()
        ]
    assert len(decoded) == 200
    joints = [(time_ns, message) for topic, time_ns, message in decoded if topic == "/joint_states"]
    data = episode.streams["joint_state"]
    np.testing.assert_array_equal([time_ns for time_ns, _ in joints], data.received_ns)
    np.testing.assert_array_equal([m.position for _, m in joints], data.fields["position"])


def test_bytes_are_stored_as_they_came_with_both_times_and_the_definitions(saved):
    from mcap.reader import make_reader

    with (saved / "episode_0001_0.mcap").open("rb") as file:
        reader = make_reader(file)
        assert reader.get_header().profile == "ros2"
        (attachment,) = reader.iter_attachments()
        assert Contract.from_dict(json.loads(attachment.data)) == CONTRACT
        rows = list(reader.iter_messages(topics=["/joint_states"]))
    schema, channel, message = rows[3]
    stamp = SECOND + 15_000_000
    velocity = 0.1 * np.cos(position_at(stamp))
    assert message.data == joint_state_cdr(stamp, position_at(stamp), velocity)
    assert (message.publish_time, message.log_time) == (stamp, stamp + 300_000)
    assert channel.message_encoding == "cdr"
    assert (schema.name, schema.encoding) == ("sensor_msgs/msg/JointState", "ros2msg")
    assert b"MSG: builtin_interfaces/Time" in schema.data


def edit_manifest(folder: Path, **changes) -> None:
    (folder.parent / LOG).unlink(missing_ok=True)  # which knows the one that was saved
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder: Path, sentence: str, contract: Contract | None = None) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        load(folder, contract)
    assert "\n" not in str(caught.value)


def test_a_truncated_recording_is_refused(saved):
    recording = saved / "episode_0001_0.mcap"
    whole = recording.read_bytes()
    recording.write_bytes(whole[: len(whole) // 2])
    refused(saved, rf"episode_0001_0.mcap is truncated: {len(whole) // 2} of {len(whole)} bytes")


def test_a_changed_recording_is_refused(saved):
    recording = saved / "episode_0001_0.mcap"
    whole = bytearray(recording.read_bytes())
    whole[len(whole) // 2] ^= 1
    recording.write_bytes(whole)
    refused(saved, "episode_0001_0.mcap is not the file that was saved .*sha256")


def test_a_recording_that_is_no_mcap_is_refused_even_if_its_hash_agrees(saved):
    from vdd_ros.manifest import FileSummary

    recording = saved / "episode_0001_0.mcap"
    recording.write_bytes(b"not an MCAP file at all")
    edit_manifest(saved, files={recording.name: FileSummary.of(recording).model_dump()})
    refused(saved, "episode_0001_0.mcap is not readable .*not a valid MCAP file")


def test_missing_files_are_named(saved):
    (saved / "metadata.yaml").unlink()
    refused(saved, "metadata.yaml is missing")
    (saved / "manifest.json").unlink()
    refused(saved, "no manifest.json in .*: not a saved episode")
    refused(saved.parent / "elsewhere", "no episode 'elsewhere' in ")


def test_a_manifest_that_is_not_ours_is_refused(saved):
    edit_manifest(saved, format_version=2)
    refused(saved, "manifest.json has format_version 2, this version reads 1")
    edit_manifest(saved, format_version=1, colour="red")
    refused(saved, "manifest.json: colour: Extra inputs are not permitted")
    (saved / "manifest.json").write_text("[1, 2]")
    refused(saved, "has format_version None")
    (saved / "manifest.json").write_text('{"format_version": 1')
    refused(saved, "manifest.json is not readable JSON")


def other_interface() -> Contract:
    raw = CONTRACT.to_dict()
    raw["frames"]["tool"] = "another_tool"
    return Contract.from_dict(raw)


def test_an_episode_of_another_interface_is_refused(saved):
    refused(saved, "was made for another interface .*they differ in frames", other_interface())


def test_a_manifest_with_another_contract_than_the_recording_is_refused(saved):
    edit_manifest(saved, contract=other_interface().to_dict())
    refused(saved, "the contract in manifest.json is not the one in the recording")


def test_a_store_needs_a_folder_of_episodes(saved):
    with pytest.raises(UserError, match="no folder .*nowhere"):
        EpisodeStore(saved / "nowhere")
    with pytest.raises(UserError, match="is an episode itself"):
        EpisodeStore(saved)


def test_dataset_check_reads_every_episode_and_tells_the_broken_from_the_fine(saved, capsys):
    record(saved.parent, seconds=0.6, way="right")
    result = check.main(check.Args(saved.parent))
    assert result["ok"] and result["verdicts"] == {"PASS": 2}
    (saved / "manifest.json").unlink()
    result = check.main(check.Args(saved.parent))
    assert not result["ok"] and result["verdicts"] == {"BROKEN": 1, "PASS": 1}
    assert "2 episodes: 1 BROKEN, 1 PASS" in capsys.readouterr().out


def test_dataset_show_prints_streams_and_what_was_declared(saved, capsys):
    assert show.main(show.Args(saved.parent, (saved.name,)))["episodes"][0]["name"] == saved.name
    printed = capsys.readouterr().out
    assert "joint_state" in printed and "way: left" in printed and "PASS" in printed


def test_dataset_stats_counts_what_was_declared(saved):
    record(saved.parent, way="right")
    record(saved.parent, way="right")
    result = stats.main(stats.Args(saved.parent))
    assert (result["episodes"], result["seconds"]) == (3, 1.5)
    assert result["declared"] == {"way": {"left": 1, "right": 2}}
    assert result["interfaces"] == {CONTRACT.interface_hash: 3}


def test_dataset_stats_tells_the_seconds_of_each_operator(tmp_path):
    for operator in ("otter", "otter", "heron"):
        record(tmp_path, provenance=Provenance(operator=operator))
    result = stats.main(stats.Args(tmp_path))
    assert result["seconds_by_operator"] == {"otter": 1.0, "heron": 0.5}
