"""Kinematics of the Panda, as an operator knows them: robosuite's own model and mink."""

from __future__ import annotations

import mink
import numpy as np
from robosuite.models.grippers import gripper_factory
from robosuite.models.robots import Panda

TIP = "gripper0_grip_site"
# Tool straight down, its x along the base's x: the diagonal is (1, -1, -1).
DOWN = mink.SO3.from_matrix(np.diag([1.0, -1.0, -1.0]))
POSTURE_Q = np.array([0.0, 0.35, 0.0, -2.2, 0.0, 2.55, 0.8])  # [rad] settles the elbow
SETTLED = 1e-5  # [rad] last step of a converged solution
TOLERANCE = 5e-4  # [m, rad] a settled solution farther off has met a joint limit
MAX_ITERATIONS = 30


class PandaArm:
    """Where the tool's tip is, and which joint positions put it somewhere else, upright.

    gripper: of robosuite, such as RodGripper or PandaHand. Points are in the base frame [m]; yaw is
    the tool's angle about the vertical [rad].
    """

    def __init__(self, gripper: str):
        robot = Panda()
        robot.add_gripper(gripper_factory(gripper, idn=0), robot.eef_name["right"])
        model = robot.get_model()
        self._configuration = mink.Configuration(model)
        self._rest = self._configuration.q[7:].copy()  # of the fingers, which do not matter
        self._tip = mink.FrameTask(TIP, "site", position_cost=1.0, orientation_cost=0.3)
        # Weak enough not to bend the tip, stronger than the solver's damping: it settles the elbow.
        self._posture = mink.PostureTask(model, cost=1e-3)
        self._posture.set_target(np.concatenate([POSTURE_Q, self._rest]))
        self._limits = [mink.ConfigurationLimit(model)]

    def start_from(self, q: np.ndarray) -> None:
        """Let the next solution be sought near joints `q` (7,) [rad]."""
        self._configuration.update(np.concatenate([q, self._rest]))

    def tip(self, q: np.ndarray) -> np.ndarray:
        """Position of the tool's tip (3,) at joints `q` (7,) [rad]."""
        self.start_from(q)
        return self._configuration.get_transform_frame_to_world(TIP, "site").translation()

    def yaw(self) -> float:
        """The tool's angle about the vertical [rad] at the joints last asked about."""
        turned = self._configuration.get_transform_frame_to_world(TIP, "site").rotation()
        return float(turned.multiply(DOWN.inverse()).compute_yaw_radians())

    def follow(self, points: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Joints (T, 7) [rad] that hold the tool upright at `points` (T, 3), starting near `q`.

        Raises RuntimeError if a point is out of reach.
        """
        self.start_from(q)
        return np.array([self.reach(point) for point in points])

    def reach(self, point: np.ndarray, yaw: float = 0.0) -> np.ndarray:
        """Joints (7,) [rad] for one more point, near those for the last one.

        Raises RuntimeError if it is out of reach.
        """
        self._aim_at(point, yaw)
        for _ in range(MAX_ITERATIONS):
            if self._step() < SETTLED:
                break
        if np.abs(self._tip.compute_error(self._configuration)).max() > TOLERANCE:
            raise RuntimeError(f"the tool cannot reach {np.round(point, 3)} upright")
        return self._configuration.q[:7].copy()

    def approach(self, point: np.ndarray, yaw: float) -> np.ndarray:
        """Joints (7,) [rad] one step of the solver nearer to a point, for one that moves slowly."""
        self._aim_at(point, yaw)
        self._step()
        return self._configuration.q[:7].copy()

    def _aim_at(self, point: np.ndarray, yaw: float) -> None:
        turned = mink.SO3.from_z_radians(yaw).multiply(DOWN)
        self._tip.set_target(mink.SE3.from_rotation_and_translation(turned, point))

    def _step(self) -> float:
        """One step of the solver; returns how far the farthest joint went [rad]."""
        step = mink.solve_ik(
            self._configuration,
            [self._tip, self._posture],
            1.0,
            "quadprog",
            damping=1e-9,
            limits=self._limits,
        )
        self._configuration.integrate_inplace(step, 1.0)
        return float(np.abs(step).max())
