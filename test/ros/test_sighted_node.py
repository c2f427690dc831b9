"""action_node with a policy that sees images: what cameras show, and what becomes of the arm."""

from __future__ import annotations

import pytest
import sighted
from harness import running_node, wait_for
from lifecycle_msgs.msg import Transition
from robots import HOME, Robot
from sighted import Cameras, patient_contract, sighted_bundle
from test_action_node import Node


@pytest.fixture(scope="module")
def contract(folder):
    return patient_contract(folder)


@pytest.fixture(scope="module")
def cameras(observer, contract):
    with Cameras(observer, contract) as shown:
        yield shown


@pytest.fixture(scope="module")
def hosted_node(domain, folder, observer, contract):
    parameters = {
        "contract": folder / "contract.yaml",
        "bundle": sighted_bundle(folder / "sighted", contract, HOME + 0.3),
    }
    with running_node("action_node", domain, parameters) as child, Robot(observer, contract) as arm:
        node = Node(observer, arm)
        assert node.change(Transition.TRANSITION_CONFIGURE), child.output
        assert "a picture of front" in child.output
        yield node


@pytest.fixture
def node(hosted_node, cameras):
    cameras.messages.clear()
    hosted_node.reset()
    return hosted_node


def test_the_policy_waits_for_both_cameras_and_then_drives(node, cameras):
    cameras.messages["wrist"] = sighted.silent
    assert node.activate()
    wait_for(lambda: node.states and int(node.values()["camera_front_seen"]) > 5, "pictures", 20.0)
    topic = node.contract.cameras["wrist"].topic
    unknown = f"waiting: nothing has come of wrist ({topic})"
    wait_for(lambda: node.word() == unknown, unknown, 20.0)
    assert node.robot.commands == []
    del cameras.messages["wrist"]
    node.robot.wait_for_commands(100)
    node.robot.assert_safe(HOME)
    values = node.values()
    assert values["stop_reason"] == "" and int(values["camera_wrist_broken"]) == 0
    assert float(values["camera_front_encode_p50_ms"]) > 0.0
    assert 0.0 < float(values["camera_wrist_age_s"]) < 0.8


@pytest.mark.parametrize(
    ("fault", "camera", "reason", "told"),
    [
        (sighted.silent, "front", "OBSERVATION_STALE", "image front of camera front is "),
        (sighted.silent, "wrist", "OBSERVATION_STALE", "image hand of camera wrist is "),
        (
            sighted.of_tomorrow,
            "front",
            "OBSERVATION_STALE",
            "is its clock ahead?",
        ),
        (sighted.small, "front", "MESSAGE_BROKEN", "rgb8 of 40x30 came instead of rgb8 of 80x60"),
        (sighted.cut_off, "wrist", "MESSAGE_BROKEN", "camera wrist: "),
        (sighted.black, "front", "CAMERA_BLIND", "camera front is black"),
        (sighted.of_the_other, "wrist", "CAMERA_BLIND", "that of camera front: are they swapped?"),
    ],
)
def test_a_camera_that_fails_brings_the_arm_to_rest(node, cameras, fault, camera, reason, told):
    assert node.activate()
    node.robot.wait_for_commands(20)
    cameras.messages[camera] = fault
    node.wait_for_reason(reason)
    assert told in node.values()["stop_detail"]
    assert "s old, at most 0.8" in node.values()["stop_detail"]
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
    del cameras.messages[camera]
    node.robot.assert_silence()


def test_a_picture_that_stands_still_while_the_arm_moves_is_a_stop(node, cameras):
    cameras.messages["front"] = sighted.frozen
    assert node.activate()
    node.wait_for_reason("CAMERA_BLIND")
    assert "camera front stood still for " in node.values()["stop_detail"]
    node.robot.wait_for_rest()
    node.robot.assert_safe(HOME)
