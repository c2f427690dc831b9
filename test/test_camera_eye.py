"""What is taken of a camera's messages while a policy drives, and what of it counts as frozen."""

from __future__ import annotations

import numpy as np
import pytest
from seeing import photograph, seeing

from vdd_ros.camera_eye import CameraEye, seconds_to_see
from vdd_ros.cdr import image_cdr
from vdd_ros.command_gate import StopReason
from vdd_ros.errors import UserError
from vdd_ros.frozen_watch import FrozenWatch
from vdd_ros.graph import GraphError
from vdd_ros.images import decode_image

CONTRACT = seeing()
FRONT, WRIST = CONTRACT.cameras["front"], CONTRACT.cameras["wrist"]
SECOND = 1_000_000_000
HOME = np.zeros(7)


class Shades:
    """Encoders that tell the mean of each colour."""

    def see(self, camera, pixels):
        return {
            image.name: pixels.mean((0, 1)) for image in CONTRACT.images if image.camera == camera
        }


class Broken:
    def see(self, camera, pixels):
        raise GraphError("out of memory")


@pytest.fixture
def eye():
    return CameraEye(CONTRACT, "front", Shades())


def test_a_picture_becomes_features_with_its_stamp(eye):
    pixels = photograph(FRONT, SECOND)
    sight = eye.see(image_cdr(FRONT, pixels, SECOND), SECOND + 5)
    assert (sight.camera, sight.stamp_ns, sight.received_ns) == ("front", SECOND, SECOND + 5)
    assert sight.fault is None and sight.remark == "" and sight.took_s > 0.0
    np.testing.assert_allclose(sight.features["front"], pixels.mean((0, 1)))


def test_a_camera_without_stamps_counts_from_when_its_picture_came():
    raw = CONTRACT.to_dict()
    raw["cameras"]["front"]["timeline"] = "receive"
    contract = type(CONTRACT).from_dict(raw)
    data = image_cdr(FRONT, photograph(FRONT, 0), 7)
    assert CameraEye(contract, "front", Shades()).see(data, SECOND).stamp_ns == SECOND


@pytest.mark.parametrize(
    ("data", "reason", "told"),
    [
        (b"\x00\x01", StopReason.MESSAGE_BROKEN, "a message of 2 bytes has no header"),
        (
            image_cdr(WRIST, photograph(WRIST, 0), SECOND),
            StopReason.MESSAGE_BROKEN,
            "is no sensor_msgs/msg/Image",
        ),
        (
            image_cdr(FRONT, np.full((60, 80, 3), 3, np.uint8), SECOND),
            StopReason.CAMERA_BLIND,
            "camera front is black: is its lens covered",
        ),
        (
            image_cdr(FRONT, np.full((60, 80, 3), 200, np.uint8), SECOND),
            StopReason.CAMERA_BLIND,
            "camera front shows nothing: is its lens covered",
        ),
        (
            image_cdr(
                FRONT.model_copy(update={"frame": WRIST.frame}), photograph(FRONT, 0), SECOND
            ),
            StopReason.CAMERA_BLIND,
            "is in the frame 'wrist_optical', not 'front_optical', which is that of camera wrist",
        ),
    ],
    ids=["cut off", "another type", "black", "white", "swapped"],
)
def test_what_cannot_be_used_is_not_taken(eye, data, reason, told):
    sight = eye.see(data, SECOND)
    assert sight.fault is not None and sight.features == {}
    assert sight.fault.reason is reason and told in sight.fault.detail


def test_a_frame_that_nobody_knows_is_remarked_on(eye):
    odd = FRONT.model_copy(update={"frame": "elsewhere"})
    sight = eye.see(image_cdr(odd, photograph(FRONT, 0), SECOND), SECOND)
    assert sight.fault is None and "is in the frame 'elsewhere'" in sight.remark


def test_an_encoder_that_fails_is_a_failure_of_the_policy():
    data = image_cdr(FRONT, photograph(FRONT, 0), SECOND)
    fault = CameraEye(CONTRACT, "front", Broken()).see(data, SECOND).fault
    assert fault.reason is StopReason.POLICY_FAILED and "out of memory" in fault.detail
    with pytest.raises(UserError, match="out of memory"):
        seconds_to_see(CONTRACT, Broken())


def test_the_same_pixels_have_the_same_content_whatever_their_stamp(eye):
    one, other = photograph(FRONT, 0), photograph(FRONT, SECOND)
    first = eye.see(image_cdr(FRONT, one, SECOND), SECOND).content
    assert eye.see(image_cdr(FRONT, one, 2 * SECOND), 2 * SECOND).content == first
    assert eye.see(image_cdr(FRONT, other, SECOND), SECOND).content != first
    data = image_cdr(WRIST, one, 5)
    eye = CameraEye(CONTRACT, "wrist", Shades())
    np.testing.assert_allclose(
        eye.see(data, 5).features["hand"], decode_image(WRIST, data).mean((0, 1))
    )


@pytest.mark.parametrize(
    ("late_s", "reason", "told"),
    [
        (0.9, None, ""),
        (-0.9, None, ""),
        (1.5, StopReason.OBSERVATION_STALE, "stamped 1.500 s before it comes: is it late, or"),
        (
            -10.0,
            StopReason.OBSERVATION_STALE,
            "stamped 10.000 s after it comes: is its clock ahead",
        ),
    ],
)
def test_a_picture_of_another_time_is_not_taken(late_s, reason, told):
    raw = CONTRACT.to_dict()
    raw["cameras"]["front"]["max_age_s"] = 1.0
    eye = CameraEye(type(CONTRACT).from_dict(raw), "front", Shades())
    came_ns = 100 * SECOND
    data = image_cdr(FRONT, photograph(FRONT, 0), came_ns - round(late_s * SECOND))
    fault = eye.see(data, came_ns).fault
    assert (fault and fault.reason) is reason and told in (fault.detail if fault else "")


def test_a_picture_without_a_stamp_is_not_taken(eye):
    fault = eye.see(image_cdr(FRONT, photograph(FRONT, 0), 0), SECOND).fault
    assert fault.reason is StopReason.MESSAGE_BROKEN and "front carry no stamp" in fault.detail


@pytest.mark.parametrize(("moved", "is_frozen"), [(0.0, False), (0.5, True)])
def test_a_camera_is_frozen_if_it_shows_the_same_while_the_arm_moves(moved, is_frozen):
    """For longer than `frozen_s`, 1 s unless a contract says otherwise."""
    watch = FrozenWatch(CONTRACT)
    faults = [watch.fault("front", 7, n * SECOND // 10, HOME + moved * n / 20.0) for n in range(21)]
    assert not any(faults[:10])
    assert all((fault is not None) == is_frozen for fault in faults[10:])
    if is_frozen:
        assert faults[10].detail.startswith("camera front stood still for 1.0 s while the arm")
    assert watch.fault("front", 8, 3 * SECOND, HOME) is None
    assert watch.fault("front", 8, 3 * SECOND + 1, HOME + 1.0) is None


def test_a_picture_that_would_always_be_too_old_is_refused():
    raw = CONTRACT.to_dict()
    raw["cameras"]["front"]["max_age_s"] = 1e-6
    with pytest.raises(UserError, match="front is seen after .* may be 1e-06 s old at most"):
        seconds_to_see(type(CONTRACT).from_dict(raw), Shades())
