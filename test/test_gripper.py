"""Grippers: planted travel, direction and closing are found, and what does not tell is refused."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest
from excited import excited
from recordings import ROOT

from vdd_ros.calibration.excitation import STEPS, excitation
from vdd_ros.calibration.gripper import (
    Stand,
    calibrate_gripper,
    gripper_of,
    stands,
)
from vdd_ros.calibration.gripper_width import width_of
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Joint
from vdd_ros.errors import UserError

CONTRACT = Contract.from_yaml(ROOT / "config" / "panda_gripper.yaml")
GRIPPER = CONTRACT.joints[-1]
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
COMMANDS = np.array([*STEPS, 0.05, 0.95])


def standing(measure, commands=COMMANDS, noise=0.002) -> Stand:
    measured = measure(commands) + np.random.default_rng(0).normal(0.0, noise, len(commands))
    rising = np.concatenate([[False], np.diff(commands) > 0.0])
    return Stand(commands, measured, rising)


def fingers(at_zero, gain, low, high):
    return lambda command: np.clip(at_zero + gain * command, low, high)


def test_a_planted_gripper_is_found():
    """It follows from .15 on, where its fingers meet, up to .9."""
    found = calibrate_gripper(GRIPPER, standing(fingers(-0.1, 1.0, 0.05, 0.8)))
    assert found.force_free == pytest.approx(0.15, abs=4 * found.std + 0.01)
    assert found.fully_open == pytest.approx(0.9, abs=0.02)
    assert (found.closed, found.open) == pytest.approx((0.05, 0.8), abs=0.01)
    assert found.opens == 1 and found.gain == pytest.approx(1.0, abs=0.02)
    section = found.section(NOW, ["here"], (0.0, 0.08))
    assert section.width_per_command_m == 0.08 and section.residuals.rms < 0.01
    assert found.section(NOW, [], None).width_at_zero_m is None


def test_one_that_opens_with_smaller_commands_and_one_that_is_larger_when_closed():
    closing = standing(fingers(0.9, -0.8, 0.1, 0.9))
    found = calibrate_gripper(GRIPPER, closing)
    assert found.opens == -1 and found.gain == pytest.approx(-0.8, abs=0.02)
    assert (found.closed, found.open) == pytest.approx((0.1, 0.9), abs=0.01)
    assert found.force_free == pytest.approx(1.0, abs=0.02)
    turned = calibrate_gripper(GRIPPER, closing, closes_at_lower=False)
    assert turned.opens == 1 and turned.closed == found.open
    assert turned.force_free == pytest.approx(0.0, abs=0.02)


def test_backlash_is_told_and_a_slip_does_not_count():
    commands = np.tile(COMMANDS, 3)
    stand = standing(fingers(0.0, 1.0, 0.1, 0.9), commands)
    slack = np.where(stand.rising, 0.0, 0.01)
    found = calibrate_gripper(GRIPPER, stand._replace(measured=stand.measured + slack))
    assert found.backlash == pytest.approx(-0.01, abs=0.004)
    measured = stand.measured.copy()
    measured[5] += 0.2
    slipped = calibrate_gripper(GRIPPER, stand._replace(measured=measured))
    clean = calibrate_gripper(GRIPPER, stand)
    assert slipped.force_free == pytest.approx(clean.force_free, abs=0.01)


@pytest.mark.parametrize(
    ("stand", "why"),
    [
        (standing(lambda c: 0.5 + 0.0 * c, noise=0.0), "stands still, through 0 fraction"),
        (standing(lambda c: 0.05 * c), "hardly moves"),
        (standing(lambda c: 80.0 * c), r"measured at 80, .* is its driver's unit another"),
        (standing(fingers(0.0, 1.0, 0.0, 1.0), COMMANDS[:3]), "at 3 different commands, at least"),
        (standing(lambda c: (c > 0.45) * 1.0), "stands only at its ends"),
        (
            standing(lambda c: 0.5 + 0.5 * np.sin(9.0 * c), noise=0.0),
            "does not follow its commands",
        ),
        (standing(lambda c: 0.9 * c + 0.15 * np.sin(20.0 * c), noise=0.0), "from a straight line"),
    ],
    ids=["still", "hardly", "millimetres", "few", "switch", "unlike", "curved"],
)
def test_what_does_not_tell_is_refused_with_the_reason(stand, why):
    with pytest.raises(UserError, match=why):
        calibrate_gripper(GRIPPER, stand)


def test_a_simulated_gripper_tells_from_its_own_steps():
    from vdd_ros.sim.env import RobosuiteEnv
    from vdd_ros.sim.rollout import wire

    env = RobosuiteEnv("lift")
    env.reset(0)
    pose = env.observe().position[wire(CONTRACT, "lift").from_arm]
    index = gripper_of(CONTRACT, None)
    motion = excitation(CONTRACT, pose, (index,), share=0.3, reach=0.2)
    found = stands(CONTRACT, [excited(env, CONTRACT, motion).streams], index)
    told = calibrate_gripper(GRIPPER, found)
    env.close()
    assert len(found.command) >= len(STEPS) - 2
    assert told.opens == 1 and told.gain == pytest.approx(1.0, abs=0.1)
    assert told.closed < 0.1 and told.open > 0.9
    assert 0.0 <= told.force_free < 0.1


def test_widths_that_somebody_measured():
    assert width_of([(0.0, 0.002), (0.5, 0.041), (1.0, 0.080)]) == pytest.approx((0.002, 0.078, 0))
    with pytest.raises(UserError, match="two different commands"):
        width_of([(0.0, 0.0), (0.0, 0.08)])
    with pytest.raises(UserError, match=r"up to 80 m|to 80 m: write metres"):
        width_of([(0.0, 0.0), (1.0, 80.0)])


def test_which_channel_is_meant():
    assert gripper_of(CONTRACT, "panda_joint1") == 0
    with pytest.raises(UserError, match="no joint hand"):
        gripper_of(CONTRACT, "hand")
    arm = Contract.from_yaml(ROOT / "config" / "panda_avoid.yaml")
    with pytest.raises(UserError, match="has 0 channels of unit fraction"):
        gripper_of(arm, None)
    with pytest.raises(UserError, match="never stands at a command"):
        stands(CONTRACT, [], 7)
    assert isinstance(GRIPPER, Joint)
