"""SimEyes: the simulated cameras, and what a policy's encoders make of their pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vdd_ros.bundle import Bundle
from vdd_ros.contract import Contract
from vdd_ros.sim.env import RobosuiteEnv


class SimEyes:
    """For many rollouts of one bundle in one simulation. Raises UserError where there are no such
    cameras, or nothing can be drawn."""

    def __init__(self, env: RobosuiteEnv, robot: Contract, bundle: Bundle):
        self._cameras, self._eyes = env.cameras(robot), bundle.open_eyes()
        self._observed = robot.observed_cameras

    def see(self, camera: str) -> Mapping[str, np.ndarray]:
        """(F,) of each image of a camera, as it is now; nothing of one that is only recorded."""
        if camera not in self._observed:
            return {}
        return self._eyes.see(camera, self._cameras.picture(camera))

    def close(self) -> None:
        """Free what drawing takes."""
        self._cameras.close()


def eyes_of(env: RobosuiteEnv, robot: Contract, bundle: Bundle) -> SimEyes | None:
    """What a bundle needs to see, None where it sees no images."""
    return SimEyes(env, robot, bundle) if robot.images else None
