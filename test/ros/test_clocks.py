"""The clocks of other hosts, over real ROS: asked, kept, and refused where they are off."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from harness import CONTRACT_PATH, Observer, free_domain, running_node, wait_for
from recordings import CONTRACT, position_at
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vdd_ros.episode import EpisodeStore
from vdd_ros.nodes.messages import command_message, message_class, qos_of


@pytest.fixture
def ros():
    with free_domain() as domain, Observer(domain) as observer:
        yield observer, domain


def recorder(domain: int, folder: Path, **more):
    contract = {"contract": CONTRACT_PATH, "directory": folder / "demos"}
    return running_node("recorder_node", domain, {**contract, **more})


def said(observer: Observer, command: str) -> str:
    return observer.call(Trigger, f"/recorder_node/{command}").message


def test_a_clock_node_tells_its_time(ros):
    observer, domain = ros
    with running_node("clock_node", domain, {"pretended_shift_s": -2.5}) as child:
        pongs = observer.listen(String, "/clock_node/pong")
        pings = observer.publisher(String, "/clock_node/ping")
        wait_for(lambda: observer.node.count_publishers("/clock_node/pong"), "a clock node")
        asked_ns = time.time_ns()

        def answered():
            never = '{"from": "me", "asked_ns": Infinity}'
            for text in ("what is the time?", "[]", '{"from": "me"}', "[" * 100_000, never):
                pings.publish(String(data=text))
            pings.publish(String(data=json.dumps({"from": "me", "asked_ns": asked_ns})))
            return pongs

        told = json.loads(wait_for(answered, "an answer")[0].data)
        assert told["from"] == "me" and told["asked_ns"] == asked_ns
        assert asked_ns <= told["heard_ns"] + 2.5e9 <= told["answered_ns"] + 2.5e9 <= time.time_ns()
        assert "is no question for the time" in child.output
        assert "2.5 s off, as pretended_shift_s says" in child.output


def test_a_recorder_keeps_what_it_measured_and_refuses_a_clock_that_is_off(ros, tmp_path):
    observer, domain = ros
    clocks = "robot:/clock_node"
    # on a busy machine answers take their time, which is not what is tried here
    contract = tmp_path / "contract.yaml"
    contract.write_text(f"extends: {CONTRACT_PATH}\nrecording: {{clock_offset_s: 1.0}}\n")
    states = observer.node.create_publisher(
        message_class(CONTRACT.streams["joint_state"].type),
        CONTRACT.streams["joint_state"].topic,
        qos_of(CONTRACT.streams["joint_state"]),
    )
    calibration = tmp_path / "calibration.yaml"
    calibration.write_text("format_version: 1\nmade: 2026-01-01\n")
    with recorder(domain, tmp_path, clocks=clocks, contract=contract, calibration=calibration):
        refusal = said(observer, "start")
        assert "the clock of robot does not answer on /clock_node/ping" in refusal
        with running_node("clock_node", domain, {"pretended_shift_s": 0.25}):
            wait_for(lambda: "recording" in said(observer, "start"), "its clock to be known")
            now = time.time_ns()
            stream = CONTRACT.streams["joint_state"]
            states.publish(command_message(stream, CONTRACT, position_at(now), now))
            assert "saved" in said(observer, "save")
    manifest = EpisodeStore(tmp_path / "demos").manifest("episode_0001")
    found = manifest.clocks["robot"]
    assert found.measured >= 1
    assert abs(found.offset_s - 0.25) <= found.within_s
    assert manifest.calibration.made == "2026-01-01"

    contract.write_text(f"extends: {CONTRACT_PATH}\nrecording: {{clock_offset_s: 0.5}}\n")
    shifted = {"pretended_shift_s": -30.0}
    with (
        recorder(domain, tmp_path, clocks=clocks, contract=contract),
        running_node("clock_node", domain, shifted),
    ):
        told = wait_for(
            lambda: (message := said(observer, "start")) and "chrony" in message and message,
            "its clock to be known",
        )
    assert re.match(r"the clock of robot is (29\.9|30\.0)\d* s behind .*at most 0.5", told)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"clocks": "robot"}, "write HOST:NODE"),
        ({"clocks": "robot:/clock_node", "use_sim_time": True}, "leave out clocks"),
        ({"calibration": "/nowhere.yaml"}, "no calibration file at /nowhere.yaml"),
    ],
)
def test_what_cannot_be_meant_ends_the_recorder(ros, more, told, tmp_path):
    _, domain = ros
    with recorder(domain, tmp_path, **more) as child:
        assert child.wait() == 2
        assert told in child.output
