"""Poses that are suggested keep within reach, within limits, and the tool as high as it was."""

from __future__ import annotations

import numpy as np
import pytest
from planted_arms import CONTRACT, panda
from recordings import HOME

from vdd_ros.calibration import rigid
from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.excitation import room_of
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.suggestions import Suggestions
from vdd_ros.errors import UserError
from vdd_ros.nodes import calibrate_choice
from vdd_ros.sim.arm_contacts import ArmContacts

REACH = 0.3


@pytest.fixture
def log(tmp_path) -> PoseLog:
    return PoseLog.begin(tmp_path / "poses", CONTRACT)


def test_poses_are_near_where_the_arm_began_and_no_lower(log):
    suggestions = Suggestions(CONTRACT, HOME, REACH, seed=0, chain=panda())
    found = np.array([suggestions.after(log).position for _ in range(40)])
    assert (np.abs(found - HOME) <= REACH + 1e-12).all() and np.ptp(found, axis=0).min() > 0.3
    lower, upper = np.array([room_of(joint) for joint in CONTRACT.joints]).T
    assert (found >= lower).all() and (found <= upper).all()
    heights = panda().poses(np.vstack([HOME, found]))[:, 2, 3]
    assert (heights[1:] >= heights[0]).all()
    anywhere = Suggestions(CONTRACT, HOME, REACH, seed=0)
    others = np.array([anywhere.after(log).position for _ in range(40)])
    assert (panda().poses(others)[:, 2, 3] < heights[0]).any(), "the model is what tells"


def test_the_way_to_a_pose_is_no_lower_either(log):
    """From pose to pose: two that are high may have a low one between them."""
    suggestions, chain = Suggestions(CONTRACT, HOME, 0.8, seed=0, chain=panda()), panda()
    dips, at, lowest = [], HOME, chain.poses(HOME[None])[0, 2, 3]
    for number in range(25):
        to = suggestions.after(log).position
        way = at + np.linspace(0.0, 1.0, 50)[:, None] * (to - at)
        dips.append(lowest - chain.poses(way)[:, 2, 3].min())
        log.add(number, dict(zip(CONTRACT.joint_names, to.tolist(), strict=True)))
        at = to
    assert max(dips) < 1e-3


def test_the_same_seed_suggests_the_same(log):
    first, second = (
        Suggestions(CONTRACT, HOME, REACH, seed=3, chain=panda()).after(log).position
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_where_every_way_leads_down_that_is_told(log):
    """All joints turn about one level axis, right above which the tool is."""
    about_y = np.tile([0.0, 0.0, 0.0, 0.0, 1.0, 0.0], (7, 1))
    upright = rigid.pose(np.eye(3), np.array([0.0, 0.0, 1.0]))
    peak = Chain(CONTRACT.joint_names, about_y, rigid.exp(-HOME.sum() * about_y[0]) @ upright)
    with pytest.raises(UserError, match="no pose near where the arm began keeps its tool as high"):
        Suggestions(CONTRACT, HOME, REACH, seed=0, chain=peak).after(log)


def test_what_the_arm_would_touch_is_no_suggestion(log):
    """A scene in which a joint may only turn one way, and the way there counts as well."""
    asked = []

    def touches(position):
        asked.append(position)
        return bool(position[0] < HOME[0] - 1e-9)

    found = Suggestions(CONTRACT, HOME, REACH, 0, touches=touches)
    poses = np.array([found.after(log).position for _ in range(20)])
    assert (poses[:, 0] >= HOME[0]).all() and (poses[:, 1] < HOME[1]).any()
    assert not any((one == HOME).all() for one in asked), "where it stands it may lean on something"
    anywhere = np.array(
        [Suggestions(CONTRACT, HOME, REACH, n).after(log).position for n in range(20)]
    )
    assert (anywhere[:, 0] < HOME[0]).any()
    with pytest.raises(UserError, match="touches nothing: begin elsewhere"):
        Suggestions(CONTRACT, HOME, REACH, 0, touches=lambda _: True).after(log)


def test_the_simulated_arm_touches_the_table_and_itself_and_not_the_air():
    contacts = ArmContacts.of_task("avoid")
    assert contacts.count == len(HOME) and not contacts.touches(HOME)
    down = HOME.copy()
    down[1] += 0.9  # the shoulder leans forward until the rod is in the table
    assert contacts.touches(down)
    assert not contacts.touches(HOME), "nothing of it stays"
    touches = calibrate_choice._touching(CONTRACT, "avoid")
    assert touches(down) and not touches(HOME)
