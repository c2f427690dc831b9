"""ActionSpace: what a policy puts out to joint position targets, and back.

`encode` makes what a policy learns of the joint commands that were recorded; `decode` makes joint
targets of what it puts out, before an ensemble or the gate sees them. So every meaning of an action
goes through the same limits. Both know one chunk and its anchor, the joint positions in the newest
row of what the policy saw: all steps of a chunk have that one anchor (Chi et al. 2024, UMI, section
III-B).

Letters: T steps, Da joints, A numbers of an action.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from vdd_ros.contract import NUMBERS_PER_TOOL, Contract
from vdd_ros.kinematics import Kinematics, ToolPoses
from vdd_ros.rotations import rotation_of, six_of

TYPICAL_SPEED = 0.2  # share of the velocity limits, of the motion that decoding is timed with
# Nothing reaches so far [m]; only the direction counts, and it has to be reckoned with.
FARTHEST_M = 1e6


class ActionSpace(Protocol):
    """One meaning of an action for the joints of one contract.

    is_slow: whether `decode` takes milliseconds, and not microseconds.
    """

    is_slow: bool

    def encode(self, targets: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Joint targets (T, Da) [unit] after anchor (Da,) [unit] -> actions (T, A)."""

    def decode(self, actions: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Finite actions (T, A) after anchor (Da,) [unit] -> joint targets (T, Da) [unit].

        They may lie outside the limits, and are not finite where numbers were too large. Raises
        DegenerateRotation where an action stands for no rotation.
        """


class AbsolutePosition:
    """Actions are joint targets; nothing is copied."""

    is_slow = False

    def encode(self, targets: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """The targets."""
        return targets

    def decode(self, actions: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """The actions."""
        return actions


class RelativePosition:
    """a_h = q_h - q_anchor [unit], but for joints that stay absolute."""

    is_slow = False

    def __init__(self, contract: Contract):
        self._relative = _not_absolute(contract)

    def encode(self, targets: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Targets minus anchor."""
        return targets - self._relative * anchor

    def decode(self, actions: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Actions plus anchor."""
        return actions + self._relative * anchor


class Velocity:
    """a_h = (q_h - q_(h-1)) / dt [unit/s], with q_(-1) the anchor and dt the policy's period, but
    for joints that stay absolute.

    Step 0 of a chunk is due at the tick of its window: its velocity is of the way from where the
    arm is to what it is told at that tick, by which it lags behind.
    """

    is_slow = False

    def __init__(self, contract: Contract):
        self._is_relative = _not_absolute(contract) > 0.0
        self._dt = 1.0 / contract.rates.policy_hz

    def encode(self, targets: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Differences of the targets over time."""
        velocity = np.diff(targets, axis=0, prepend=anchor[None]) / self._dt
        return np.where(self._is_relative, velocity, targets)

    def decode(self, actions: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Sums of the actions over time."""
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at what comes out
            summed = anchor + np.cumsum(actions * self._dt, axis=0)
        return np.where(self._is_relative, summed, actions)


class ToolPose:
    """For each tool its position [m] and six numbers of its rotation, in the base frame or, where
    it is relative, in the frame that the tool has at the anchor; then the joints that move no tool,
    as absolute positions [unit].

    Raises UserError where mink is not installed, or model and contract do not fit.
    """

    is_slow = True

    def __init__(self, contract: Contract, is_relative: bool):
        assert contract.kinematics is not None
        self.kinematics = Kinematics(contract)
        self._is_relative = is_relative
        self._n_tools = len(contract.kinematics.tools)
        names = contract.joint_names
        self._beside = [names.index(name) for name in contract.joints_beside_tools]

    def encode(self, targets: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Where the tools are at the targets."""
        poses = self.kinematics.forward(targets)
        if self._is_relative:
            poses = _seen_from(self.kinematics.forward(anchor[None]), poses)
        numbers = np.concatenate([poses.positions, six_of(poses.rotations)], axis=-1)
        return np.concatenate([numbers.reshape(len(targets), -1), targets[:, self._beside]], axis=1)

    def decode(self, actions: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Joints that put the tools there, found one step after another from the anchor on."""
        split = NUMBERS_PER_TOOL * self._n_tools
        numbers = actions[:, :split].reshape(len(actions), self._n_tools, NUMBERS_PER_TOOL)
        places = np.clip(numbers[..., :3], -FARTHEST_M, FARTHEST_M)
        poses = ToolPoses(places, rotation_of(numbers[..., 3:]))
        if self._is_relative:
            poses = _put_at(self.kinematics.forward(anchor[None]), poses)
        targets = self.kinematics.inverse(poses, anchor)
        targets[:, self._beside] = actions[:, split:]
        return targets


SPACES: dict[str, Callable[[Contract], ActionSpace]] = {
    "absolute_position": lambda contract: AbsolutePosition(),
    "relative_position": RelativePosition,
    "velocity": Velocity,
    "tool_pose": lambda contract: ToolPose(contract, is_relative=False),
    "relative_tool_pose": lambda contract: ToolPose(contract, is_relative=True),
}


def action_space(contract: Contract) -> ActionSpace:
    """What the contract's actions mean; raises UserError where that cannot be had here."""
    return SPACES[contract.action.meaning](contract)


def seconds_to_decode(contract: Contract, space: ActionSpace, horizon: int) -> float:
    """What decoding a chunk of a usual motion takes here, the median [s]; 0 where it is not
    slow."""
    if not space.is_slow:
        return 0.0
    lower, upper = contract.limit("lower"), contract.limit("upper")
    middle = (lower + upper) / 2.0
    steps = np.arange(horizon)[:, None] / contract.rates.policy_hz
    targets = np.clip(middle + TYPICAL_SPEED * contract.limit("velocity") * steps, lower, upper)
    actions = space.encode(targets, middle)
    taken = []
    for _ in range(7):
        begin = time.perf_counter()
        space.decode(actions, middle)
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken))


def _not_absolute(contract: Contract) -> np.ndarray:
    """(Da,) 0 for joints that stay absolute, 1 for the others."""
    absolute = contract.action.absolute or ()
    return np.array([0.0 if name in absolute else 1.0 for name in contract.joint_names])


def _seen_from(anchor: ToolPoses, poses: ToolPoses) -> ToolPoses:
    """Poses in the base frame as seen from the tools' own at the anchor."""
    back = np.swapaxes(anchor.rotations, -1, -2)
    offsets = poses.positions - anchor.positions
    return ToolPoses((back @ offsets[..., None])[..., 0], back @ poses.rotations)


def _put_at(anchor: ToolPoses, poses: ToolPoses) -> ToolPoses:
    """Poses as seen from the tools' own at the anchor, in the base frame."""
    turned = (anchor.rotations @ poses.positions[..., None])[..., 0]
    return ToolPoses(turned + anchor.positions, anchor.rotations @ poses.rotations)
