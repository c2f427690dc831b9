"""The equations of hand-eye: where corners should be, and how that changes with what is unknown.

Unknown are small changes of X and Y, each three of translation [m] and three of rotation [rad]
(R = Exp(w) R0, t = t0 + v: both in the parent's axes), offsets of some joints [rad, m], and, where
the lens is not exact, some of its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews
from vdd_ros.calibration.lens import NAMES, Lens
from vdd_ros.calibration.lens_prior import LensPrior

OF_POSES = 12  # unknowns of X and Y


@dataclass(frozen=True)
class Unknowns:
    """camera: (4, 4) X; target: (4, 4) Y; offsets: (n,) of all joints, none where the tool's poses
    do not come from joints; lens: None where it is that of the views."""

    camera: np.ndarray
    target: np.ndarray
    offsets: np.ndarray
    lens: Lens | None = None


@dataclass(frozen=True)
class Problem:
    """free: (k,) joints whose offsets are unknown; unknowns are changes of `start`; prior: of the
    lens, whose l free numbers are unknown as well; None where it is exact."""

    views: BoardViews
    start: Unknowns
    free: np.ndarray
    prior: LensPrior | None = None

    @property
    def size(self) -> int:
        return self.of_arm + (0 if self.prior is None else len(self.prior.free))

    @property
    def of_arm(self) -> int:
        """12 + k: all but the lens."""
        return OF_POSES + len(self.free)

    def at(self, change: np.ndarray) -> Unknowns:
        """change: (12 + k + l,), of X, Y, offsets and the lens."""
        start = self.start
        offsets = start.offsets.copy()
        offsets[self.free] += change[OF_POSES : self.of_arm]
        camera, target = _nudged(start.camera, change[:6]), _nudged(start.target, change[6:12])
        lens = start.lens or self.views.lens
        if self.prior is not None:
            by = np.zeros(len(NAMES))
            by[self.prior.free] = change[self.of_arm :]
            lens = lens.changed(by)
        return replace(start, camera=camera, target=target, offsets=offsets, lens=lens)

    def residuals(self, change: np.ndarray) -> np.ndarray:
        """(M, 2) where corners should be minus where they are [pixels], for such a change."""
        now = self.at(change)
        _, in_camera, *_ = self._points(now)
        return _lens(now).pixels(in_camera) - self.views.pixels

    def held(self, change: np.ndarray) -> np.ndarray:
        """(l,) residuals of what is known of the lens before, of variance 1; none where nothing
        is."""
        return np.zeros(0) if self.prior is None else self.prior.residuals(_lens(self.at(change)))

    def held_slopes(self) -> np.ndarray:
        """(l, 12 + k + l), or no rows, of `held`."""
        root = np.zeros((0, 0)) if self.prior is None else self.prior.root
        return np.hstack([np.zeros((len(root), self.of_arm)), root])

    def jacobian(self, change: np.ndarray) -> np.ndarray:
        """(M, 2, 12 + k + l) of the residuals [pixels/m, pixels/rad, pixels/number]."""
        now = self.at(change)
        in_parent, in_camera, in_target_parent, carried = self._points(now)
        _, by_point = _lens(now).pixels_and_slopes(in_camera)
        back = now.camera[:3, :3].T
        per_parent = by_point @ back  # (M, 2, 3) by a point in X's parent
        turned = carried[:, :3, :3][self.views.view]
        per_target = per_parent @ turned
        found = np.empty((len(by_point), 2, self.size))
        found[..., :3] = -per_parent
        arm = rigid.skew(in_parent - now.camera[:3, 3])
        found[..., 3:6] = per_parent @ arm @ rigid.left_jacobian(change[3:6])
        found[..., 6:9] = per_target
        arm = -rigid.skew(in_target_parent - now.target[:3, 3])
        found[..., 9:12] = per_target @ arm @ rigid.left_jacobian(change[9:12])
        if len(self.free):
            by_joints = self._by_joints(now, in_parent, in_target_parent)
            found[..., OF_POSES : self.of_arm] = per_parent @ by_joints
        if self.prior is not None:
            by_numbers = _lens(now).slopes_by_numbers(in_camera)
            found[..., self.of_arm :] = by_numbers[..., self.prior.free]
        return found

    def _points(self, now: Unknowns):
        """Corners (M, 3) in X's parent, in the camera, in Y's parent; and B (N, 4, 4)."""
        carried = self.views.carried(now.offsets if len(self.free) else None)
        in_target_parent = rigid.moved(now.target, self.views.points)
        mine = carried[self.views.view]
        in_parent = (mine[:, :3, :3] @ in_target_parent[..., None])[..., 0] + mine[:, :3, 3]
        in_camera = rigid.moved(rigid.inverse(now.camera), in_parent)
        return in_parent, in_camera, in_target_parent, carried

    def _by_joints(self, now: Unknowns, in_parent: np.ndarray, in_target_parent: np.ndarray):
        """(M, 3, k) motion of corners in X's parent with the joints."""
        views = self.views
        assert views.chain is not None and views.joints is not None
        twists = views.chain.jacobians(views.joints + now.offsets)[:, :, self.free][views.view]
        v, w = np.swapaxes(twists[:, :3], 1, 2), np.swapaxes(twists[:, 3:], 1, 2)  # (M, k, 3)
        if views.mounting == "eye_to_hand":
            return np.swapaxes(v + np.cross(w, in_parent[:, None]), 1, 2)
        moved = v + np.cross(w, in_target_parent[:, None])  # in the base, against which X moves
        turned = views.carried(now.offsets)[:, :3, :3][views.view]
        return -turned @ np.swapaxes(moved, 1, 2)


def _lens(now: Unknowns) -> Lens:
    assert now.lens is not None
    return now.lens


def _nudged(matrix: np.ndarray, change: np.ndarray) -> np.ndarray:
    turned = rigid.exp_rotation(change[3:6]) @ matrix[:3, :3]
    return rigid.pose(turned, matrix[:3, 3] + change[:3])
