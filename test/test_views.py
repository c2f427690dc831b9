"""config/foxglove and config/rviz show topics that are there, under the names of the contracts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from vdd_ros.contract import Contract

CONFIG = Path(__file__).resolve().parents[1] / "config"
LAYOUT = json.loads((CONFIG / "foxglove" / "vdd_ros.json").read_text())
RVIZ = yaml.safe_load((CONFIG / "rviz" / "vdd_ros.rviz").read_text())["Visualization Manager"]
POLICY = (CONFIG / "sros2" / "policy.xml").read_text()  # which a test compares with the graph
# of the robot's own nodes, and of robot_state_publisher
OTHERS = {"/robot_description"}
FIELDS = {
    "sensor_msgs/msg/JointState": "position",
    "std_msgs/msg/Float64MultiArray": "data",
}


def panels(part: dict) -> list[dict]:
    if part["type"] == "panel":
        return [part]
    return [panel for item in part["items"] for panel in panels(item["content"])]


def paths(panel: dict) -> list[str]:
    config = panel["config"]
    series = [one["value"] for one in config.get("paths", [])]
    return series + [config[key] for key in ("topicPath", "topicToRender") if key in config]


@pytest.fixture(scope="module")
def avoid() -> Contract:
    return Contract.from_yaml(CONFIG / "panda_avoid.yaml")


SHOWN = [path for panel in panels(LAYOUT["content"]) for path in paths(panel)]


def test_every_stream_of_the_contract_is_drawn_in_its_own_unit(avoid):
    drawn = {path.partition(".")[0]: path for path in SHOWN}
    for stream in avoid.streams.values():
        path = drawn[stream.recorded_topic]
        assert path == f"{stream.recorded_topic}.{FIELDS[stream.type]}[:]"


def test_every_other_topic_of_the_layout_is_one_that_nodes_publish(avoid):
    topics = {path.partition(".")[0] for path in SHOWN}
    others = topics - {stream.recorded_topic for stream in avoid.streams.values()}
    assert others - {avoid.e_stop_topic, "/diagnostics"} == {"/action_node/policy_state"}
    for topic in others - {avoid.e_stop_topic}:
        assert topic in POLICY or topic.replace("/action_node", "~") in POLICY


def test_rviz_shows_frames_objects_and_cameras_of_the_contracts():
    objects = Contract.from_yaml(CONFIG / "panda_stack_1.yaml")
    cameras = Contract.from_yaml(CONFIG / "panda_cameras.yaml").cameras
    assert RVIZ["Global Options"]["Fixed Frame"] == objects.frames.base
    topics = {
        value["Value"]: value
        for display in RVIZ["Displays"]
        for key, value in display.items()
        if re.fullmatch(r"(\w+ )?Topic", key)
    }
    stream = objects.streams["objects"]
    known = {
        camera.recorded_topic.removesuffix("/compressed"): camera for camera in cameras.values()
    }
    known |= {stream.recorded_topic: stream}
    assert set(topics) - OTHERS == set(known)
    for topic, part in known.items():  # a reader that asks for more than is offered hears nothing
        policy = topics[topic]["Reliability Policy"].lower().replace(" ", "_")
        assert (policy, topics[topic]["Durability Policy"]) == (part.reliability, "Volatile")
