"""Cameras of `vdd bench faults`: what its encoders tell, and what becomes of pictures that its
relays break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from seeing import photograph
from sensor_msgs.msg import Image

from vdd_ros.camera_eye import CameraEye
from vdd_ros.cdr import image_cdr
from vdd_ros.command_gate import StopReason
from vdd_ros.commands.bench.faults import scenarios, sight
from vdd_ros.commands.bench.faults.swing import knows_tables, write_swing
from vdd_ros.contract import Contract
from vdd_ros.nodes.corruption import CORRUPTIONS

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = sight.with_cameras(Contract.from_yaml(ROOT / "config" / "panda_faults.yaml"))
AGENT = CONTRACT.cameras[sight.AGENT]
NOW_NS = 10**18
MIDDLE = (CONTRACT.limit("lower") + CONTRACT.limit("upper")) / 2.0


def shown(seed: int) -> np.ndarray:
    return photograph(AGENT, seed * 37_000_000)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    messages = {name: image_cdr(CONTRACT.cameras[name], shown(0), 1) for name in CONTRACT.cameras}
    detector = knows_tables(CONTRACT)._replace(images=sight.knows_pictures(CONTRACT, messages))
    return write_swing(tmp_path_factory.mktemp("swing") / "b", CONTRACT, MIDDLE, None, detector)


def test_an_encoder_tells_the_colours_of_the_parts_of_a_picture(bundle):
    eyes = bundle.open_eyes()
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, 32:, 0], pixels[32:, :32, 2] = 255, 51  # red above on the right, blue below
    features = eyes.see(sight.AGENT, pixels)[sight.AGENT]
    np.testing.assert_allclose(features.reshape(3, 4), [[0, 1, 0, 0], [0] * 4, [0, 0, 0.2, 0]])
    for seed in range(3):
        found = eyes.see(sight.HAND, shown(seed))[sight.HAND]
        np.testing.assert_allclose(found, sight.colours_of(shown(seed)), atol=1e-5)


def test_a_bundle_that_knows_its_pictures_tells_others_from_them(bundle):
    agent, hand = bundle.ood_detector.images
    eyes = bundle.open_eyes()
    same, other = (eyes.see(sight.AGENT, shown(seed))[sight.AGENT] for seed in (0, 5))
    assert agent.distance_of(same) < 1e-3 < agent.distance.value < agent.distance_of(other)
    assert hand.distance is None


def test_the_policy_takes_what_is_seen_and_swings_whatever_it_is(bundle):
    policy = bundle.open_policy()
    window = np.zeros((2, CONTRACT.observation_dim + 2 * (1 + sight.N_FEATURES)), np.float32)
    targets = [policy.infer(window).means.copy()]
    window[-1, CONTRACT.observation_dim :] = 1.0
    targets.append(policy.infer(window).means)
    assert np.ptp(targets[0] - MIDDLE) > 1.0
    np.testing.assert_array_equal(*targets)


def corrupted(name: str, value: object) -> bytes:
    message = deserialize_message(image_cdr(AGENT, shown(0), NOW_NS), Image)
    CORRUPTIONS[name](message, value, "")
    return serialize_message(message)


@pytest.mark.parametrize(
    ("name", "value", "reason", "told"),
    [
        ("lose_rows", 32, StopReason.MESSAGE_BROKEN, "rgb8 of 64x32 came instead of rgb8 of 64x64"),
        ("call_encoding", "bgr8", StopReason.MESSAGE_BROKEN, "bgr8 of 64x64 came instead of rgb8"),
        ("lose_pixels", 0.5, StopReason.MESSAGE_BROKEN, "6144 bytes in rows of 192 are no rgb8 of"),
        ("blacken", 0.0, StopReason.CAMERA_BLIND, "camera agent_view is black"),
        ("without_stamp", 0.0, StopReason.MESSAGE_BROKEN, "carry no stamp"),
        ("shift_stamp", 10.0, StopReason.OBSERVATION_STALE, "stamped 10.000 s after it comes"),
        ("shift_stamp", -10.0, StopReason.OBSERVATION_STALE, "stamped 10.000 s before it comes"),
    ],
)
def test_a_broken_picture_is_told_by_what_is_wrong_with_it(bundle, name, value, reason, told):
    eye = CameraEye(CONTRACT, sight.AGENT, bundle.open_eyes())
    fault = eye.see(corrupted(name, value), NOW_NS).fault
    assert fault.reason is reason and told in fault.detail


def test_in_another_light_a_picture_is_whole_and_unlike_what_was_known(bundle):
    eye = CameraEye(CONTRACT, sight.AGENT, bundle.open_eyes())
    sight_of_it = eye.see(corrupted("dim", 0.3), NOW_NS)
    assert sight_of_it.fault is None
    known = bundle.ood_detector.images[0]
    assert known.distance_of(sight_of_it.features[sight.AGENT]) > known.distance.value


@pytest.mark.parametrize("size", [0, 3, 8, 16, 17, 60, 12_000])
def test_noise_is_no_picture_and_harms_nobody(bundle, size):
    eye, rng = CameraEye(CONTRACT, sight.AGENT, bundle.open_eyes()), np.random.default_rng(size)
    for _ in range(50):
        fault = eye.see(rng.bytes(size), NOW_NS).fault
        assert fault.reason is StopReason.MESSAGE_BROKEN and "camera agent_view: " in fault.detail


def test_cameras_have_scenarios_of_every_way_in_which_pictures_fail():
    seen = [one for one in scenarios.SCENARIOS if one.sees]
    assert len(seen) >= 25 and sum(one.moving for one in seen) >= 24
    assert {reason for one in seen for reason in one.reasons} >= {
        "OBSERVATION_STALE", "MESSAGE_BROKEN", "CAMERA_BLIND", "OUT_OF_DISTRIBUTION",
    }  # fmt: skip
    for one in seen:
        for act, *values in one.acts:
            if act == "relay":
                assert values[0] in CONTRACT.cameras, one
