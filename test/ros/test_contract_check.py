"""`vdd contract check` beside nodes that run: what fits, and what was planted not to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from geometry_msgs.msg import PoseArray
from harness import (
    ROOT,
    Observer,
    environment,
    free_domain,
    repeating,
    running,
    running_node,
    wait_for,
)
from PIL import Image
from robots import SHUFFLED, Robot, lossless_contract
from sensor_msgs.msg import CompressedImage, JointState
from sensor_msgs.msg import Image as RosImage
from std_msgs.msg import Empty, String
from urdfs import real

from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import COMPRESSED, IMAGE
from vdd_ros.nodes.graph_look import NAME
from vdd_ros.nodes.hosting import full_name
from vdd_ros.nodes.listeners import ONLOOKERS
from vdd_ros.nodes.messages import latched_qos, message_class, qos_of, time_message

SECONDS = "4"  # a busy machine needs some to discover


def command(contract: Path) -> list[str]:
    words = ["contract", "check", str(contract), "--seconds", SECONDS, "--json"]
    return [sys.executable, "-m", "vdd_ros.cli", *words]


def checked(domain: int, contract: Path, *more: str) -> tuple[int, dict]:
    """Exit code, and what the JSON line says."""
    done = subprocess.run(
        [*command(contract), *more],
        env=environment(domain),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def told(result: dict, state: str = "wrong") -> dict[tuple[str, str], dict]:
    """The findings of a state, by what they are of."""
    return {(one["of"], one["what"]): one for one in result["findings"] if one["state"] == state}


@pytest.fixture(scope="module")
def patient(folder, contract_path) -> Path:
    """The robot's contract for a machine that may be too busy for its rates."""
    path = folder / "patient.yaml"
    lossless_contract(path, contract_path)
    raw = yaml.safe_load(path.read_text()) | {"recording": {"rate_warn": 0.2, "rate_fail": 0.1}}
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture(scope="module")
def sim(domain, observer, contract_path) -> Iterator[int]:
    """The simulated robot, running; its domain."""
    heard = observer.listen(JointState, "/joint_states", qos_of(CONTRACT.streams["joint_state"]))
    with running_node("sim_node", domain, {"contract": contract_path}):
        wait_for(lambda: len(heard) > 10, "joint states of the simulator")
        yield domain


CONTRACT = Contract.from_yaml(ROOT / "config" / "panda_avoid.yaml")


def test_the_simulated_robot_fits_its_contract(sim, patient):
    code, result = checked(sim, patient)
    assert code == 0, result
    fits = told(result, "fits")
    assert {("joint_state", what) for what in ("topic", "QoS", "rate", "stamps", "joints")} <= set(
        fits
    )
    assert fits["robot_command", "topic"]["found"].startswith("/sim_node listens to")
    assert "/sim_node" in result["nodes"] and "/contract_check" not in result["nodes"]


def test_it_publishes_nothing_and_is_no_robot(sim, observer, contract_path):
    node, command_topic = observer.node, "/forward_position_controller/commands"
    with running(command(contract_path), sim):
        wait_for(lambda: NAME in node.get_node_names(), NAME)
        heard = wait_for(lambda: node.get_subscriber_names_and_types_by_node(NAME, "/"), "readers")
        spoken = node.get_publisher_names_and_types_by_node(NAME, "/")
    assert "/joint_states" in dict(heard) and command_topic not in dict(heard)
    assert {topic for topic, _ in spoken} <= {"/parameter_events"}
    assert NAME in ONLOOKERS


def test_all_that_was_planted_is_told_at_once(sim, contract_path, tmp_path):
    raw = yaml.safe_load(contract_path.read_text())
    raw["joints"].reverse()  # which is no fault of joint states
    raw["joints"][0]["name"] = "panda_joint_7"
    raw["streams"]["joint_state"] |= {"rate_hz": 500.0, "reliability": "reliable"}
    raw["streams"]["robot_command"] |= {
        "type": "trajectory_msgs/msg/JointTrajectory",
        "timeline": "header",
    }
    raw["objects"] = ["block"]
    raw["streams"]["objects"] = {
        "topic": "blocks",
        "type": "geometry_msgs/msg/PoseArray",
        "rate_hz": 20.0,
        "max_age_s": 1.0,
        "timeline": "header",
    }
    raw["observation"].append({"name": "block", "stream": "objects", "field": "position"})
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(raw))
    code, result = checked(sim, path)
    wrong = told(result)
    assert code == 1
    assert set(wrong) == {
        ("joint_state", "QoS"),
        ("joint_state", "rate"),
        ("joint_state", "joints"),
        ("robot_command", "type"),
        ("objects", "topic"),
    }
    assert "panda_joint_7 is panda_joint7" in wrong["joint_state", "joints"]["remedy"]
    assert all(one["remedy"] for one in wrong.values())


@pytest.fixture(scope="module")
def own() -> Iterator[tuple[int, Observer]]:
    """A domain for robots of the tests' own."""
    with free_domain() as domain, Observer(domain) as observer:
        yield domain, observer


def test_a_robot_in_another_order_fits_and_its_faults_are_told(own, patient):
    domain, observer = own
    with Robot(observer, CONTRACT) as robot:
        robot.wait_for_states(5)
        code, result = checked(domain, patient)
        assert code == 0, result
        found = told(result, "fits")["joint_state", "joints"]["found"]
        assert sorted(SHUFFLED) != SHUFFLED and "and 1 more, in another order" in found

        robot.lost_joint = "panda_joint3"
        second = observer.node.create_publisher(JointState, "/joint_states", 10)
        command = CONTRACT.streams["robot_command"]
        rival = observer.node.create_publisher(
            message_class(command.type), command.topic, qos_of(command)
        )
        button = observer.node.create_publisher(Empty, "/e_stop", 1)
        describing = observer.node.create_publisher(String, "/robot_description", latched_qos())
        describing.publish(String(data=real("panda_arm_hand").read_text()))
        code, result = checked(domain, patient)
        wrong = told(result)
        assert code == 1
        assert "panda_joint3 not among" in wrong["joint_state", "joints"]["found"]
        speakers = wrong["joint_state", "publishers"]["found"]
        assert f"2 at once: /{full_name(observer.node)}" in speakers
        assert "publishes commands" in wrong["robot_command", "publishers"]["found"]
        assert "std_msgs/msg/Empty" in wrong["e_stop", "type"]["found"]
        # the description has a hand, and no rod
        assert "has no link panda_rod_tip" in wrong["robot_description", "frames.tool"]["found"]
        assert robot.commands == [], "nothing was sent"
        for publisher in (second, rival, button, describing):
            observer.node.destroy_publisher(publisher)


def test_topics_of_a_namespace_are_looked_for_there(own, contract_path):
    domain, observer = own
    with Robot(observer, CONTRACT):
        code, result = checked(domain, contract_path, "--namespace", "left")
    fault = told(result)["joint_state", "topic"]
    assert code == 1 and fault["found"] == "nobody publishes /left/joint_states"
    assert "/joint_states" in fault["remedy"]


@contextmanager
def repeated(publishers: dict, messages: dict) -> Iterator[None]:
    """Each message again and again, stamped, for the length of the block."""

    def tell() -> None:
        for name, message in messages.items():
            message.header.stamp = time_message(time.time_ns())
            publishers[name].publish(message)

    with repeating(tell, 0.05):
        yield


def encoded(size: tuple[int, int], kind: str) -> CompressedImage:
    data = BytesIO()
    Image.new("RGB", size, (200, 30, 40)).save(data, kind)
    return CompressedImage(format=kind, data=data.getvalue())


def test_pictures_and_poses_are_looked_into(own, patient, tmp_path):
    domain, observer = own
    raw = yaml.safe_load(patient.read_text())
    camera = {"width": 32, "height": 24, "rate_hz": 20.0, "max_age_s": 5.0, "timeline": "header"}
    stamped = {"rate_hz": 20.0, "max_age_s": 5.0, "timeline": "header"}
    raw["cameras"] = {
        "front": camera
        | {"topic": "front", "type": IMAGE, "encoding": "rgb8", "frame": "front_optical"},
        "wrist": camera
        | {"topic": "wrist", "type": COMPRESSED, "encoding": "jpeg", "frame": "wrist_optical"},
    }
    raw["objects"] = ["red", "green"]
    raw["streams"]["objects"] = stamped | {"topic": "poses", "type": "geometry_msgs/msg/PoseArray"}
    raw["observation"].append({"name": "objects", "stream": "objects", "field": "position"})
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(raw))
    contract = Contract.from_yaml(path)
    front = RosImage(encoding="rgb8", width=32, height=24, step=96, data=bytes(32 * 24 * 3))
    front.header.frame_id = "front_optical"
    messages = {"front": front, "wrist": encoded((16, 8), "png"), "objects": PoseArray()}
    publishers = {
        name: observer.node.create_publisher(
            type(message), contract.sources[name].topic, qos_of(contract.sources[name])
        )
        for name, message in messages.items()
    }
    with Robot(observer, contract), repeated(publishers, messages):
        code, result = checked(domain, path)
    wrong, fits = told(result), told(result, "fits")
    assert code == 1
    assert {("front", what) for what in ("topic", "QoS", "rate", "pictures", "frame")} <= set(fits)
    assert wrong["wrist", "pictures"]["found"] == "png 16x8, jpeg 32x24 are declared"
    assert wrong["wrist", "frame"]["found"].startswith("none, wrist_optical")
    assert "0 poses came, expected 2" in wrong["objects", "objects"]["found"]
    assert wrong["objects", "frame"]["found"].startswith("none, panda_link0")


def test_an_empty_graph_is_told(contract_path):
    with free_domain() as domain:
        code, result = checked(domain, contract_path, "--seconds", "0.5")
    assert code == 1 and result["nodes"] == []
    assert "ROS_DOMAIN_ID" in told(result)["graph", "nodes"]["remedy"]


def test_a_namespace_that_is_none_is_told(contract_path):
    words = ["contract", "check", str(contract_path), "--namespace", "a b"]
    done = subprocess.run(
        [sys.executable, "-m", "vdd_ros.cli", *words],
        env=environment(1),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "--namespace 'a b' is none: write one as left" in done.stderr
