"""JointControl: the torques that follow joint position targets, as robosuite's controller has them.

    tau = M(q) (kp (target - q) - kd dq) + c(q, dq),   kd = 2 damping_ratio sqrt(kp)

M is the arm's mass matrix and c gravity and Coriolis forces (robosuite's JOINT_POSITION with fixed
gains and absolute targets). robosuite's own Python around these few products takes four times as
long as the physics step itself; `vdd bench sim` compares the two.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np


class JointControl:
    """Writes the controls of `joints` into a simulation's data, in place.

    model, data: mujoco's own; joints: names of hinge joints, each moved by a motor `actuators`
    names in the same order; kp [1/s^2]; damping_ratio: 1 is critical.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        joints: tuple[str, ...],
        actuators: tuple[str, ...],
        kp: float,
        damping_ratio: float,
    ):
        self._model, self._data = model, data
        self._kp, self._kd = kp, 2.0 * damping_ratio * math.sqrt(kp)
        self._dofs = np.array([model.joint(name).dofadr[0] for name in joints])
        self._positions = np.array([model.joint(name).qposadr[0] for name in joints])
        self._motors = np.array([model.actuator(name).id for name in actuators])
        self._low, self._high = model.actuator_ctrlrange[self._motors].T
        self._wanted, self._force = np.zeros(model.nv), np.zeros(model.nv)  # [1/s^2], [Nm]

    @property
    def position(self) -> np.ndarray:
        """(J,) [rad], a copy."""
        return self._data.qpos[self._positions]

    @property
    def velocity(self) -> np.ndarray:
        """(J,) [rad/s], a copy."""
        return self._data.qvel[self._dofs]

    def follow(self, target: np.ndarray) -> None:
        """Set the torques for one physics step towards `target` (J,) [rad]; mj_step1 came before,
        which leaves M and c of now."""
        wanted = self._kp * (target - self.position) - self._kd * self.velocity
        self._wanted[self._dofs] = wanted
        mujoco.mj_mulM(self._model, self._data, self._force, self._wanted)
        torque = self._force[self._dofs] + self._data.qfrc_bias[self._dofs]
        self._data.ctrl[self._motors] = np.minimum(np.maximum(torque, self._low), self._high)
