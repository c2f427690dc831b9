"""Which pose an arm is to take next, while poses are being taken.

Around where it began, at most `reach` away with every joint, and where the arm's model is known
with the tool no lower than there, all the way to it; in simulation where the arm touches nothing.
Of a real robot nobody looks at what else is in the way but who chose that place. At random until
hand-eye can be estimated from what was seen so far; from then on where a view tells most
(`next_pose.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vdd_ros.calibration.board_views import Mounting
from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.excitation import room_of
from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.next_pose import Known, candidates_around, next_pose
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import board_views
from vdd_ros.calibration.seen_board import seen_by
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

CANDIDATES = 200
TRIES = 100  # of a pose at random
ALONG = 16  # places on the way to a pose, straight in joints, that are looked at


class Seeing(NamedTuple):
    """What hand-eye is estimated by."""

    camera: str
    mounting: Mounting
    lens: Lens


class NextPose(NamedTuple):
    """position: (Da,) [unit]; why: in words."""

    position: np.ndarray
    why: str


class Suggestions:
    """begin: (Da,) where it began [unit]; chain: of the tool, None where it is not known; seeing:
    None where nothing is estimated meanwhile; touches: whether the arm does with its joints (Da,)
    there, None where nobody knows."""

    def __init__(
        self,
        contract: Contract,
        begin: np.ndarray,
        reach: float,
        seed: int,
        chain: Chain | None = None,
        seeing: Seeing | None = None,
        touches: Callable[[np.ndarray], bool] | None = None,
    ):
        self._begin, self._reach, self._chain, self._seeing = begin, reach, chain, seeing
        self._touches = touches
        self._rng = np.random.default_rng(seed)
        self._lower, self._upper = np.array([room_of(joint) for joint in contract.joints]).T
        # channels of hands and grippers stay as they are
        self._moves = np.array([joint.unit != "fraction" for joint in contract.joints])
        names = contract.joint_names
        self._columns = [names.index(name) for name in ([] if chain is None else chain.names)]
        self._now = begin  # where it sets off
        there = begin[None, self._columns]
        self._lowest_m = -np.inf if chain is None else self._heights(chain, there).min()

    def after(self, log: PoseLog, now: np.ndarray | None = None) -> NextPose:
        """The next one after those of a log; now: (Da,) where the arm is, if not at the last of
        them [unit]. Raises UserError where there is no room for any."""
        if now is not None:
            self._now = now
        elif log.poses:
            self._now = log.joints()[-1]
        if self._seeing is not None and self._chain is not None:
            try:
                found = self._best(log, self._seeing, self._chain)
            except UserError as error:  # too few so far, or too alike
                return NextPose(self._at_random(), str(error))
            if found is not None:
                return found
        return NextPose(self._at_random(), "anywhere near where it began")

    def _at_random(self) -> np.ndarray:
        for _ in range(TRIES):
            away = self._rng.uniform(-self._reach, self._reach, len(self._begin)) * self._moves
            tried = np.clip(self._begin + away, self._lower, self._upper)
            if self._is_free(tried):
                return tried
        raise UserError(
            "no pose near where the arm began keeps its tool as high and touches nothing: begin "
            "elsewhere, or with a shorter reach"
        )

    def _is_free(self, position: np.ndarray) -> bool:
        """Whether the arm touches nothing on the way to (Da,), and the tool is as high there as
        where it began, and on the way as where it sets off: between two good poses may be a bad
        one."""
        way = self._now + np.linspace(0.0, 1.0, ALONG)[:, None] * (position - self._now)
        if self._chain is not None:
            heights = self._heights(self._chain, way[:, self._columns])
            if heights[-1] < self._lowest_m or heights.min() < min(heights[0], self._lowest_m):
                return False
        touches = self._touches
        # where it stands it may lean on something
        return touches is None or not any(touches(joints) for joints in way[:0:-1])

    @staticmethod
    def _heights(chain: Chain, joints: np.ndarray) -> np.ndarray:
        """(N, n) -> (N,) of the tool in the base frame, whose z points up [m]."""
        return chain.poses(joints)[:, 2, 3]

    def _best(self, log: PoseLog, seeing: Seeing, chain: Chain) -> NextPose | None:
        assert log.header.board is not None
        seen = seen_by(log, seeing.camera)
        views = board_views(log, seen, seeing.mounting, seeing.lens, chain)
        known = Known.after(hand_eye_of(views), log.header.board.points)
        columns = self._columns
        lower, upper = self._lower[columns], self._upper[columns]
        tried = candidates_around(
            self._rng, self._begin[columns], lower, upper, CANDIDATES, self._reach
        )
        best = next_pose(known, tried, lambda joints: self._is_free(self._with(joints)))
        if best is None:
            return None
        return NextPose(
            self._with(best.joints),
            f"the camera's place is then known to {1e3 * best.std_m:.2f} mm, "
            f"{np.degrees(best.std_rad):.3f} degrees",
        )

    def _with(self, joints: np.ndarray) -> np.ndarray:
        """(Da,) with the joints of the chain (n,) there, and all others where they began."""
        position = self._begin.copy()
        position[self._columns] = joints
        return position
