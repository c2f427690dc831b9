"""Kinematics of the Panda with the rod, as an operator knows it: robosuite's own model and mink."""

from __future__ import annotations

import mink
import numpy as np
from robosuite.models.robots import Panda

from vdd_ros.sim.tasks.avoid import RodGripper

TIP = "gripper0_grip_site"
# Rod straight down, tool x along base x: the diagonal is (1, -1, -1).
R_BASE_TOOL = mink.SO3.from_matrix(np.diag([1.0, -1.0, -1.0]))
POSTURE_Q = np.array([0.0, 0.35, 0.0, -2.2, 0.0, 2.55, 0.8])  # [rad] settles the seventh joint
SETTLED = 1e-5  # [rad] last step of a converged solution
TOLERANCE = 5e-4  # [m, rad] a settled solution farther off has met a joint limit
MAX_ITERATIONS = 30


class RodArm:
    """Where the rod's tip is, and which joint positions put it somewhere else."""

    def __init__(self):
        robot = Panda()
        robot.add_gripper(RodGripper(), robot.eef_name["right"])
        model = robot.get_model()
        self._configuration = mink.Configuration(model)
        self._tip = mink.FrameTask(TIP, "site", position_cost=1.0, orientation_cost=0.3)
        # Weak enough not to bend the tip, stronger than the solver's damping: it settles the elbow.
        self._posture = mink.PostureTask(model, cost=1e-3)
        self._posture.set_target(POSTURE_Q)
        self._limits = [mink.ConfigurationLimit(model)]

    def tip(self, q: np.ndarray) -> np.ndarray:
        """Position of the rod's lower end in the base frame, (3,) [m], at joints `q` (7,) [rad]."""
        self._configuration.update(q)
        pose = self._configuration.get_transform_frame_to_world(TIP, "site")
        return pose.translation()

    def follow(self, points: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Joints (T, 7) [rad] that hold the rod upright at `points` (T, 3) [m], starting near `q`.

        Raises RuntimeError if a point is out of reach.
        """
        self._configuration.update(q)
        return np.array([self._reach(point) for point in points])

    def _reach(self, point: np.ndarray) -> np.ndarray:
        self._tip.set_target(mink.SE3.from_rotation_and_translation(R_BASE_TOOL, point))
        tasks = [self._tip, self._posture]
        for _ in range(MAX_ITERATIONS):
            step = mink.solve_ik(
                self._configuration, tasks, 1.0, "quadprog", damping=1e-9, limits=self._limits
            )
            self._configuration.integrate_inplace(step, 1.0)
            if np.abs(step).max() < SETTLED:
                break
        if np.abs(self._tip.compute_error(self._configuration)).max() > TOLERANCE:
            raise RuntimeError(f"the rod cannot reach {np.round(point, 3)} upright")
        return self._configuration.q.copy()
