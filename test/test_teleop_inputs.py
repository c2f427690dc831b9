"""What axes, buttons and keys become."""

from __future__ import annotations

import numpy as np
import pytest
from two_arms import CONFIG

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.teleop.device import DIRECTIONS, JoyDevice, KeyboardDevice, read_device
from vdd_ros.teleop.joystick import Joystick
from vdd_ros.teleop.keys import SLOWEST, Keys

CONTRACT = Contract.from_yaml(CONFIG / "panda_hand.yaml")


def stick(name: str) -> Joystick:
    device = read_device(CONFIG / "teleop" / f"{name}.yaml")
    assert isinstance(device, JoyDevice)
    return Joystick(device, CONTRACT)


def keys(name: str = "keyboard") -> Keys:
    device = read_device(CONFIG / "teleop" / f"{name}.yaml")
    assert isinstance(device, KeyboardDevice)
    return Keys(device, CONTRACT)


def moved(wish: np.ndarray) -> dict[str, float]:
    return {name: value for name, value in zip(DIRECTIONS, wish, strict=True) if abs(value) > 1e-9}


@pytest.mark.parametrize(
    ("axes", "buttons", "expected"),
    [
        ({1: 1.0}, (), {"x": 0.15}),
        ({0: -1.0}, (), {"y": -0.15}),
        ({4: -1.0}, (), {"z": -0.1}),  # left trigger
        ({5: -1.0}, (), {"z": 0.1}),
        ({4: -1.0, 5: -1.0}, (), {}),
        ({2: 0.525}, (), {"yaw": 0.25}),  # half of the way beyond the deadband
        ({3: 0.05}, (), {}),
        ({}, (14,), {"roll": 0.5}),
    ],
)
def test_a_gamepad(axes, buttons, expected):
    told = [axes.get(number, 0.0) for number in range(6)]
    pressed = [int(number in buttons) for number in range(21)]
    reading = stick("gamepad").read(told, pressed)
    assert moved(reading.wish) == pytest.approx(expected)
    assert reading.wanted is False and reading.grip is None and not reading.let_go


def test_buttons_of_a_gamepad():
    read = stick("gamepad").read
    assert read([0.0] * 6, np.eye(21, dtype=int)[9]).wanted is True
    assert read([0.0] * 6, np.eye(21, dtype=int)[4]).let_go
    assert [read([0.0] * 6, np.eye(21, dtype=int)[n]).grip for n in (0, 1, 2)] == [0.0, 1.0, None]
    assert read([0.0] * 6, [1] * 21).grip is None, "both at once say nothing"


def test_a_spacemouse_tells_buttons_only_when_they_change():
    read = stick("spacemouse").read
    assert moved(read([1.0, 0, 0, 0, 0, -1.0], []).wish) == {"x": 0.2, "yaw": -0.6}
    reading = read([0.0] * 6, [])
    assert reading.wanted is None and not reading.moves
    assert read([0.0] * 6, [1]).grip == 0.0 and read([0.0] * 6, [0, 1]).moves


BROKEN = {
    "an axis too few": ([0.0] * 5, [0] * 21, "has 5 axes, and 6 are declared"),
    "another driver": ([0.0] * 8, [0] * 11, "has 8 axes"),
    "not a number": ([0, np.nan, 0, 0, 0, 0], [0] * 21, "not finite"),
    "no enable button": ([0.0] * 6, [0] * 9, "9 buttons, and the enable button is number 9"),
}


@pytest.mark.parametrize(("axes", "buttons", "said"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_message_is_refused(axes, buttons, said):
    with pytest.raises(UserError, match=said):
        stick("gamepad").read(axes, buttons)


def test_a_key_acts_for_a_pulse_and_a_held_one_goes_on():
    read = keys()
    assert read.press("w", 1.0) == []
    assert moved(read.read(1.1).wish) == {"x": 0.1}
    assert moved(read.read(1.16).wish) == {}
    for repeat in range(20):
        read.press("w", 2.0 + 0.03 * repeat)
        assert moved(read.read(2.0 + 0.03 * repeat).wish) == {"x": 0.1}
    read.press("a", 2.6)
    assert moved(read.read(2.61).wish) == {"x": 0.1, "y": 0.1}
    assert moved(read.read(2.8).wish) == {}


def test_presses_that_a_slow_line_delivers_at_once_are_one_pulse():
    read = keys()
    for _ in range(500):
        read.press("w", 1.0)
    assert moved(read.read(1.1).wish) == {"x": 0.1}
    assert not read.read(1.16).wish.any()


def test_space_stops_at_once_and_zero_lets_go():
    read = keys()
    read.press("w", 1.0)
    read.press(" ", 1.01)
    reading = read.read(1.02)
    assert not reading.wish.any() and not reading.let_go
    read.press("w", 1.0)
    read.press("0", 1.01)
    assert read.read(1.02).let_go and not read.read(1.03).let_go, "once"
    assert not read.is_over
    read.press("q", 2.0)
    assert read.is_over and read.read(2.0).let_go


def test_speed_goes_up_and_down_between_its_ends():
    read = keys()
    for _ in range(30):
        read.press("-", 1.0)
    read.press("w", 1.0)
    assert read.read(1.0).wish[0] == pytest.approx(SLOWEST * 0.1)
    told = [read.press("+", 1.0) for _ in range(30)]
    assert told[-1] == ["speed 1.00"]
    assert read.read(1.0).wish[0] == pytest.approx(0.1)


def test_a_gripper_by_keys_is_told_once():
    read = keys()
    read.press("[", 1.0)
    assert read.read(1.0).grip == 0.0 and read.read(1.0).grip is None
    read.press("]", 1.0)
    assert read.read(1.0).grip == 1.0


def test_help_names_every_key_and_others_are_explained():
    read = keys("keyboard_panda_joints")
    text = "\n".join(read.press("h", 1.0))
    assert text == "\n".join(read.help())
    for word in ("1: panda_joint1 +0.3/s", "[: close", "space: stop here and hold", "q: quit"):
        assert word in text
    assert "moves nothing" in read.press("z", 1.0)[0]
    read.press("1", 1.0)
    wish = read.read(1.0).wish
    assert wish.shape == (8,) and wish[0] == 0.3 and not wish[1:].any()
