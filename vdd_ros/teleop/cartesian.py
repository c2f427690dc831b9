"""Cartesian: twists of the tool to joint targets, by the inverse kinematics that policies have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Kinematics as Model
from vdd_ros.errors import UserError
from vdd_ros.kinematic_model import with_model_text
from vdd_ros.kinematics import Kinematics, ToolPoses
from vdd_ros.teleop.reading import Reading
from vdd_ros.teleop.shaping import hastened, moved_by
from vdd_ros.yaml_file import checked, read_extended

# How far the pose aimed at may be ahead of what joints reach: at the end of reach, a limit or a
# singularity it waits, so that the tool stays on its line and the way back begins at once.
LEAD_M, LEAD_RAD = 0.01, 0.05
JOINT_SPEED = 0.5  # share of the velocity limits, near a singularity, where joints would turn fast
# How fast a twist may change [m/s^2, rad/s^2], so that the gate has no need to overshoot.
LINEAR, ANGULAR = 1.0, 4.0
# Of the solver, for one command: what its damping leaves undone is done with the next.
ITERATIONS, DAMPING = 2, 1e-3


class Cartesian:
    """The tool that the contract's frames name moves by a twist; tools on other joints keep their
    poses, and joints that move no tool their positions.

    The pose aimed at is the integral of the twist. Joints follow it within their position limits,
    at no more than JOINT_SPEED of their velocity limits, and where they cannot, it waits for them.
    The elbow stays where it is. Raises UserError where there is no model, or it does not fit.
    """

    def __init__(self, contract: Contract, model: Model | None, rate_hz: float):
        solved = _for_solver(contract, model, rate_hz)
        assert solved.kinematics is not None
        self._kinematics = Kinematics(solved, ITERATIONS, DAMPING)
        frames = [tool.frame for tool in solved.kinematics.tools]
        self._tool = frames.index(contract.frames.tool)
        self._aim = self._reached = ToolPoses(np.zeros((0, 0, 3)), np.zeros((0, 0, 3, 3)))
        self._behind = 0.0  # how far what is reached was from what was aimed at
        self._twist, self._in_tool = np.zeros(6), False  # of the aim now

    def begin(self, position: np.ndarray, reading: Reading) -> None:
        """Aim at where the tools are with the joints there."""
        self._aim = self._reached = self._kinematics.forward(position[None])
        self._behind, self._twist = 0.0, np.zeros(6)

    def rest(self, position: np.ndarray, dt: float) -> np.ndarray:
        """Slow down."""
        return self.step(position, Reading(np.zeros(6), in_tool=self._in_tool), dt)

    def step(self, position: np.ndarray, reading: Reading, dt: float) -> np.ndarray:
        """The next target (Da,) towards a twist (6,), from that of the last."""
        if reading.in_tool != self._in_tool:  # one device after the other in two frames
            self._twist, self._in_tool = np.zeros(6), reading.in_tool
        self._twist = hastened(self._twist, reading.wish, LINEAR * dt, ANGULAR * dt)
        if not self._twist.any():
            self._aim, self._behind = self._reached, 0.0
            return position
        positions, rotations = self._aim.positions.copy(), self._aim.rotations.copy()
        at = (0, self._tool)
        positions[at], rotations[at] = moved_by(
            positions[at], rotations[at], self._twist, dt, self._in_tool
        )
        aim = ToolPoses(positions, rotations)
        target = self._kinematics.inverse(aim, position)[0]
        self._reached = self._kinematics.forward(target[None])
        behind = _behind(self._reached, aim)
        if behind <= max(1.0, self._behind):
            self._aim, self._behind = aim, behind
        else:
            self._twist = np.zeros(6)
        return target


def read_model(path: str | Path) -> Model:
    """A file of `model` and `tools`, as under `kinematics` of a contract; raises UserError."""
    raw = {"kinematics": read_extended(path, "kinematics file")}
    whole = with_model_text(raw, Path(path).parent)
    assert isinstance(whole, dict)
    return checked(Model, whole["kinematics"], str(path))


def _behind(reached: ToolPoses, aim: ToolPoses) -> float:
    """How far tools are behind what is aimed at, as a share of what they may be."""
    away = np.linalg.norm(aim.positions - reached.positions, axis=-1)
    turns = np.swapaxes(reached.rotations, -1, -2) @ aim.rotations
    cosine = (np.trace(turns, axis1=-2, axis2=-1) - 1.0) / 2.0
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    return float(max((away / LEAD_M).max(), (angle / LEAD_RAD).max()))


def _for_solver(contract: Contract, model: Model | None, rate_hz: float) -> Contract:
    """The contract as its inverse kinematics needs it: with a model, slower joints, a step of one
    command's period, and no posture, to which an arm would move by itself."""
    model = contract.kinematics or model
    if model is None:
        raise UserError(
            f"contract {contract.name} has no kinematics, by which a twist could become joint "
            "positions: set `kinematics`, such as to config/kinematics/panda_tools.yaml, or take a "
            "device that moves joints"
        )
    name = contract.frames.tool
    moved = {joint for tool in model.tools if tool.frame == name for joint in tool.joints}
    tools = [
        {"frame": tool.frame, "joints": tool.joints}
        for tool in model.tools
        if tool.frame == name or not moved & set(tool.joints)
    ]
    raw = contract.to_dict()
    raw["kinematics"] = {"model": model.model, "tools": tools}
    for joint in raw["joints"]:
        joint["velocity"] *= JOINT_SPEED
    raw["rates"] = {"control_hz": rate_hz, "policy_hz": rate_hz}
    raw["observation"] = [{"name": "q", "stream": "joint_state", "field": "position"}]
    raw["action"] = {"name": "q", "stream": contract.action.stream, "meaning": "tool_pose"}
    return Contract.from_dict(raw, f"the kinematics with contract {contract.name}")
