"""Following: the motion of a follower whose leader is an arm."""

from __future__ import annotations

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.teleop.device import LeaderDevice
from vdd_ros.teleop.reading import Reading


class Following:
    """Absolute: the follower is taken up, which is slow, and follows once it is there. Relative: it
    moves by what the leader moves from where the clutch was closed; only a gripper is taken up.

    Whatever the leader does, a target is never further from the one before than the velocity limits
    allow, or, while taken up, `take_up.speed` of them: all joints slowed by one factor, so that
    the way there is straight.
    """

    def __init__(self, device: LeaderDevice, contract: Contract):
        self._take_up = device.take_up
        self._lower, self._upper = contract.limit("lower"), contract.limit("upper")
        self._velocity = contract.limit("velocity")
        is_arm = np.array([joint.unit != "fraction" for joint in contract.joints])
        self._play = np.where(is_arm, device.play, 0.0)
        self._is_relative = is_arm & (device.follow == "relative")
        self.taking_up = True
        self.left = np.zeros(contract.n_joints)  # (Da,) to where the leader is [unit]
        self._offset = np.zeros(contract.n_joints)  # (Da,) follower minus leader
        self._leader = np.zeros(0)  # (Da,) the leader, without what moves within the play

    def begin(self, position: np.ndarray, reading: Reading) -> None:
        """Take up anew, or take the offsets between here and the leader."""
        self.taking_up = True
        self._leader = _known(reading.wish, position)
        self._offset = np.where(self._is_relative, position - self._leader, 0.0)

    def rest(self, position: np.ndarray, dt: float) -> np.ndarray:
        """At once: the gate sees to it that this is smooth."""
        return position

    def step(self, position: np.ndarray, reading: Reading, dt: float) -> np.ndarray:
        """The next target (Da,) on the way to a leader (Da,), NaN for joints that it has not."""
        leader = _known(reading.wish, position)
        self._leader = np.clip(self._leader, leader - self._play, leader + self._play)
        wanted = np.clip(self._leader + self._offset, self._lower, self._upper)
        most = self._velocity * dt * (self._take_up.speed if self.taking_up else 1.0)
        gap = wanted - position
        target = position + gap / max(1.0, float((np.abs(gap) / most).max()))
        self.left = np.abs(wanted - target)
        far = self.left.max()
        if far <= self._take_up.within:
            self.taking_up = False
        elif far > self._take_up.lost:
            self.taking_up = True
        return target


def _known(leader: np.ndarray, position: np.ndarray) -> np.ndarray:
    """A leader (Da,), with the follower's `position` (Da,) for joints that it has not."""
    return np.where(np.isnan(leader), position, leader)
