"""The Panda's hand, which opens as far as it is told; robosuite's own only opens and closes."""

from __future__ import annotations

import numpy as np
from robosuite.models.grippers import register_gripper
from robosuite.models.grippers.panda_gripper import PandaGripperBase


class PandaHand(PandaGripperBase):
    """Two fingers with one command: 0 closed, 1 open (0.08 m)."""

    def format_action(self, action):
        """(1,) fraction -> (2,) of each finger's range of control, -1 to 1; they move apart."""
        opened = 2.0 * float(np.clip(action[0], 0.0, 1.0)) - 1.0
        return np.array([opened, -opened])

    @property
    def init_qpos(self):
        """Open."""
        return np.array([0.04, -0.04])

    @property
    def dof(self):
        """Numbers of one command."""
        return 1


register_gripper(PandaHand)
