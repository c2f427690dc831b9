"""recorder_node's promises over real ROS: what came over the wire is in the episode."""

from __future__ import annotations

import json
import platform
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import CONTRACT_PATH, Observer, free_domain, running_node, wait_for
from recordings import CONTRACT, SECOND, position_at
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vdd_ros import cli
from vdd_ros.bag import read_bag
from vdd_ros.episode import EpisodeStore
from vdd_ros.nodes.messages import clock_message, command_message, message_class, qos_of
from vdd_ros.recovery import recover


@pytest.fixture
def ros():
    with free_domain() as domain, Observer(domain) as observer:
        yield observer, domain


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    return tmp_path / "demos"


def recorder_node(domain: int, demos: Path, contract: Path = CONTRACT_PATH, remaps=None, **more):
    parameters = {"contract": contract, "directory": demos, **more}
    return running_node("recorder_node", domain, parameters, remaps)


def done(observer: Observer, command: str, node: str = "recorder_node") -> str:
    response = observer.call(Trigger, f"/{node}/{command}")
    assert response.success, response.message
    return response.message


class Robot:
    """Publishes the contract's streams, as a robot, its operator and the gate would."""

    def __init__(self, observer: Observer):
        self.publishers = {
            name: observer.publisher(message_class(stream.type), stream.topic, qos_of(stream, 1000))
            for name, stream in CONTRACT.streams.items()
        }

    def publish(self, name: str, stamp_ns: int) -> None:
        position = position_at(stamp_ns)
        self.publishers[name].publish(
            command_message(CONTRACT.streams[name], CONTRACT, position, stamp_ns)
        )

    def move(self, seconds: float) -> None:
        """Joint states at 200 Hz and commands at 100 Hz, on the system clock."""
        start = time.monotonic_ns()
        for tick in range(int(seconds * 200)):
            time.sleep(max(0, start + tick * 5_000_000 - time.monotonic_ns()) * 1e-9)
            self.publish("joint_state", time.time_ns())
            if tick % 2 == 0:
                self.publish("teleop_command", time.time_ns())
                self.publish("robot_command", time.time_ns())


def test_an_episode_holds_what_came_over_the_wire_byte_for_byte(ros, demos):
    observer, domain = ros
    heard: dict[str, list[bytes]] = {name: [] for name in CONTRACT.streams}
    for name, stream in CONTRACT.streams.items():
        observer.node.create_subscription(
            message_class(stream.type),
            stream.topic,
            heard[name].append,
            qos_of(stream, 1000),
            raw=True,
        )
    told = {"operator": "otter", "consent": "research", "licence": "CC-BY-4.0"}
    with recorder_node(domain, demos, name_prefix="demo", task="cross the field", **told):
        notes = observer.publisher(String, "/recorder_node/annotate")
        robot = Robot(observer)
        wait_for(
            lambda: all(p.get_subscription_count() == 2 for p in robot.publishers.values()),
            "both to listen",
        )
        before = time.time_ns()
        assert done(observer, "start") == "recording demo_0001"
        notes.publish(String(data="not JSON"))
        notes.publish(String(data=json.dumps({"way": "left", "seed": 3})))
        robot.move(1.0)
        assert done(observer, "stop").startswith("stopped demo_0001 after ")
        assert "saved" in done(observer, "save")

    episode = EpisodeStore(demos, CONTRACT).load("demo_0001")
    assert episode.manifest.task == "cross the field"
    assert episode.manifest.meta == {"way": "left", "seed": 3}
    assert episode.manifest.provenance.told == told | {"host": platform.node()}
    stored = read_bag(demos / "demo_0001" / "demo_0001_0.mcap").messages
    for name, bytes_heard in heard.items():
        bytes_stored = [message.data for message in stored if message.stream == name]
        if CONTRACT.streams[name].reliability == "reliable":
            assert bytes_stored == bytes_heard
        else:  # either of the two may have missed some
            assert len(set(bytes_stored) & set(bytes_heard)) > 0.9 * len(bytes_stored)
    joints = episode.streams["joint_state"]
    assert len(joints) > 180
    assert before < joints.stamps_ns[0] < joints.received_ns[0] < joints.received_ns[-1]
    np.testing.assert_array_equal(joints.fields["position"][0], position_at(joints.stamps_ns[0]))


def test_what_cannot_be_done_is_said_and_a_discarded_episode_leaves_nothing(ros, demos):
    observer, domain = ros
    with recorder_node(domain, demos):
        refused = observer.call(Trigger, "/recorder_node/save")
        assert not refused.success
        assert refused.message == "cannot save while idle, only while recording or stopped"
        robot = Robot(observer)
        done(observer, "start")
        robot.move(0.2)
        assert done(observer, "discard") == "discarded episode_0001"
    assert list(demos.iterdir()) == []


def test_a_saved_episode_is_corrected_by_its_name_and_by_nothing_else(ros, demos):
    observer, domain = ros
    with recorder_node(domain, demos):
        health = observer.listen(DiagnosticArray, "/diagnostics")
        corrections = observer.publisher(String, "/recorder_node/correct")

        def comes_of(told: str) -> str:
            def answer() -> str:
                values = {pair.key: pair.value for pair in health[-1].status[0].values}
                return values.get("corrected", "")

            before = answer()
            corrections.publish(String(data=told))
            wait_for(lambda: answer() != before, "an answer")
            return answer()

        done(observer, "start")
        done(observer, "save")
        wait_for(lambda: health and corrections.get_subscription_count(), "the recorder")
        done(observer, "start")  # what is in hand meanwhile is not meant
        before = (demos / "episodes.jsonl").read_bytes()
        for told, why in (
            ('{"success": false}', "it names no `episode`"),
            ('{"episode": "episode_0002", "success": false}', "no episode episode_0002"),
            ('{"episode": "../demos/episode_0001", "success": false}', "no episode ../demos"),
            ('{"episode": "episode_0001", "success": 0}', "corrects nothing"),
            ("[" * 9999, "is not taken"),
        ):
            assert why in comes_of(told)
        assert (demos / "episodes.jsonl").read_bytes() == before
        assert comes_of('{"episode": "episode_0001", "success": false, "note": "slipped"}') == (
            "episode_0001: a failure from now on, note: slipped"
        )
    meta = EpisodeStore(demos).manifest("episode_0001").meta
    assert (meta["success"], meta["note"]) == (False, "slipped")


def test_with_use_sim_time_every_time_is_on_the_clock_topic(ros, demos):
    observer, domain = ros
    with recorder_node(domain, demos, use_sim_time=True):
        clock = observer.publisher(Clock, "/clock")
        robot = Robot(observer)
        refused = observer.call(Trigger, "/recorder_node/start")
        assert not refused.success and "is /clock published" in refused.message
        clock.publish(clock_message(5 * SECOND))
        wait_for(
            lambda: observer.call(Trigger, "/recorder_node/start").success, "the clock to arrive"
        )
        for tick in range(1, 21):
            now = 5 * SECOND + tick * 5_000_000
            clock.publish(clock_message(now))
            robot.publish("joint_state", now)
            robot.publish("robot_command", now)
            time.sleep(0.005)
        done(observer, "save")
    episode = EpisodeStore(demos).load("episode_0001")
    assert episode.manifest.started_ns == 5 * SECOND
    assert 0 < episode.manifest.duration_s <= 0.1
    command = episode.streams["robot_command"]
    assert len(command) == 20
    assert 5 * SECOND <= command.received_ns[0] <= command.received_ns[-1] <= 5.1 * SECOND


def test_health_tells_the_state_and_silent_streams(ros, demos):
    observer, domain = ros
    heard = observer.listen(DiagnosticArray, "/diagnostics")
    with recorder_node(domain, demos):
        done(observer, "start")
        words = "recording, nothing comes on joint_state"
        (status,) = wait_for(
            lambda: [s for message in heard for s in message.status if s.message == words][:1],
            "the word of a silent stream",
        )
    assert (status.name, status.level) == ("recorder_node", b"\x02")
    values = {value.key: value.value for value in status.values}
    assert values["episode"] == "episode_0001" and values["joint_state_hz"] == "0.0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_that_is_told_to_end_keeps_what_it_recorded(ros, demos, number):
    observer, domain = ros
    with recorder_node(domain, demos) as recorder:
        robot = Robot(observer)
        done(observer, "start")
        robot.move(0.3)
        assert recorder.end(number) == 0
        assert "terminate called" not in recorder.output
    (left,) = recover(demos)
    assert left.damage is None and left.messages > 50


def test_what_a_killed_recorder_left_is_set_aside_by_the_next(ros, demos):
    observer, domain = ros
    with recorder_node(domain, demos) as recorder:
        robot = Robot(observer)
        notes = observer.publisher(String, "/recorder_node/annotate")
        wait_for(notes.get_subscription_count, "the recorder to take notes")
        done(observer, "start")
        notes.publish(String(data=json.dumps({"success": False, "note": "the cup slipped"})))
        robot.move(0.8)
        recorder.end(signal.SIGKILL)
    with recorder_node(domain, demos, remaps={"__node": "second"}) as second:
        assert done(observer, "start", "second") == "recording episode_0002"
        assert "episode_0001 ends early" in second.output
        assert f"1 recording was never saved: `vdd dataset recover {demos}`" in second.output
    assert (demos / ".quarantine" / "episode_0001" / "metadata.yaml").exists()
    assert cli.main(["dataset", "recover", str(demos), "episode_0001"]) == 0
    meta = EpisodeStore(demos).load("episode_0001").manifest.meta
    assert (meta["success"], meta["note"]) == (False, "the cup slipped")


def test_a_bad_contract_ends_in_one_sentence_and_exit_code_2(ros, demos, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("format_version: 1\ncolour: red\n")
    with recorder_node(ros[1], demos, wrong) as recorder:
        assert recorder.wait() == 2
        assert "wrong.yaml" in recorder.output
        assert recorder.output.count("\n") == 1


def test_messages_that_got_lost_are_counted(ros, demos):
    """A recorder that stands still for a while while a best-effort stream floods it."""
    observer, domain = ros
    with recorder_node(domain, demos) as recorder:
        robot = Robot(observer)
        done(observer, "start")
        robot.move(0.3)
        recorder.process.send_signal(signal.SIGSTOP)
        for _ in range(20_000):
            robot.publish("joint_state", time.time_ns())
        health = observer.listen(DiagnosticArray, "/diagnostics")
        recorder.process.send_signal(signal.SIGCONT)
        robot.move(0.3)
        wait_for(lambda: len(health) >= 2, "a recorder that has worked off what waited")
        told = done(observer, "stop")
        done(observer, "save")
    found = EpisodeStore(demos).manifest("episode_0001").streams["joint_state"]
    assert found.lost > 0 and found.missing > 0
    assert f"joint_state lost {found.lost} messages on the way (WARN)" in told
