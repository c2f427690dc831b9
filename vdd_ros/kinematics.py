"""Kinematics: where joints put tools, and which joints put them somewhere else.

The model is MuJoCo's, the steps of the inverse are mink's; both are loaded when a contract asks for
poses, and by nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Tool
from vdd_ros.errors import UserError

# Of one error [m] against another [rad]: a tool is seldom longer than 0.3 m.
POSITION_COST, ORIENTATION_COST = 1.0, 0.3
# Against the tool's: weak enough to bend its pose by hundredths of a millimetre only, and strong
# enough that an arm which was stretched out bends its elbow to the same side again.
POSTURE_COST, DAMPING = 3e-3, 1e-9
LM_DAMPING = 0.1  # by the squared error, as Levenberg and Marquardt
MAX_ITERATIONS = 8  # for one pose; from pose to pose of a motion two or three settle it
SETTLED = 3e-3  # [rad, m] last step of a solution; what is left is of the order of its square
SHARES = (1.0, 0.5, 0.25, 0.125)  # of a step, tried one after another until it makes things better
ALLOWED_COST = 1e-10  # (0.01 mm)^2, for rounding
# How far ahead a step looks: of a pose that is kilometres away only the direction counts.
LARGEST_ERROR_M, LARGEST_ERROR_RAD = 0.3, 1.0


class ToolPoses(NamedTuple):
    """positions: (T, N, 3) of N tools [m]; rotations: (T, N, 3, 3); both in the base frame."""

    positions: np.ndarray
    rotations: np.ndarray


class Kinematics:
    """Forward and inverse kinematics of a contract's tools; joints are in the contract's order.

    Joints of the model that are none of a tool's stay where the model has them. iterations: steps
    of the solver for one pose, at most; damping: of each step, against joints that tremble at the
    end of reach. Raises UserError where mink is not installed, or the model is not one of these
    tools and joints.
    """

    def __init__(
        self, contract: Contract, iterations: int = MAX_ITERATIONS, damping: float = DAMPING
    ):
        if contract.kinematics is None:
            raise ValueError(f"contract {contract.name} has no kinematics")
        self._iterations, self._damping = iterations, damping
        self._mujoco, self._mink = _libraries(contract.name)
        self._model = _compiled(self._mujoco, contract)
        self._data = self._mujoco.MjData(self._model)
        self._configuration = self._mink.Configuration(self._model)
        tools = contract.kinematics.tools
        self._frames = [_frame(self._model, tool.frame) for tool in tools]
        base = _frame(self._model, contract.frames.base)
        below = _moving(self._model, *base[1:])
        for tool, (_, kind, number) in zip(tools, self._frames, strict=True):
            _require_chain(self._model, contract, tool, _moving(self._model, kind, number), below)
        names = [name for name in contract.joint_names if name not in contract.joints_beside_tools]
        self._columns = [contract.joint_names.index(name) for name in names]
        joints = [self._model.joint(name) for name in names]
        self._positions = [int(joint.qposadr[0]) for joint in joints]
        self._dofs = [int(joint.dofadr[0]) for joint in joints]
        self._lower = contract.limit("lower")[self._columns]
        self._upper = contract.limit("upper")[self._columns]
        self._reach = contract.limit("velocity")[self._columns] / contract.rates.policy_hz
        self._lean = _posture(names, tools)
        self._put(np.zeros(len(names)))
        self._base = self._pose(*base[1:])
        self._tasks = [
            self._mink.FrameTask(name, kind, POSITION_COST, ORIENTATION_COST, lm_damping=LM_DAMPING)
            for name, kind, _ in self._frames
        ]
        self._posture = self._mink.PostureTask(self._model, cost=POSTURE_COST)
        self._box = _Box(self._mink, self._model.nv)

    @property
    def chain(self) -> list[int]:
        """Which numbers of a joint array move tools, from the base on: none is carried by a later
        one."""
        return [self._columns[index] for index in np.argsort(self._dofs)]

    def forward(self, joints: np.ndarray) -> ToolPoses:
        """(T, Da) [unit] -> where the tools are."""
        base_position, base_rotation = self._base
        positions = np.empty((len(joints), len(self._frames), 3))
        rotations = np.empty((len(joints), len(self._frames), 3, 3))
        for step, row in enumerate(joints[:, self._columns]):
            self._put(row)
            for tool, (_, kind, number) in enumerate(self._frames):
                position, rotation = self._pose(kind, number)
                positions[step, tool] = base_rotation.T @ (position - base_position)
                rotations[step, tool] = base_rotation.T @ rotation
        return ToolPoses(positions, rotations)

    def inverse(self, poses: ToolPoses, start: np.ndarray) -> np.ndarray:
        """Joints (T, Da) [unit] that put the tools there, one pose after another from `start`
        (Da,); joints that move no tool stay as they are there.

        Each step lies within the position limits, and within what the velocity limits allow in a
        policy period from the one before: a continuous path, as near to the poses as that lets
        it get in its iterations.
        """
        base_position, base_rotation = self._base
        positions = poses.positions @ base_rotation.T + base_position
        rotations = base_rotation @ poses.rotations
        found = np.tile(start, (len(positions), 1))
        q = np.clip(start[self._columns], self._lower, self._upper)
        self._configuration.update(self._whole(q))
        self._posture.set_target(self._whole(np.where(np.isnan(self._lean), q, self._lean)))
        for step in range(len(positions)):
            q = self._reached(positions[step], rotations[step], q)
            found[step, self._columns] = q
        return found

    def _reached(self, positions: np.ndarray, rotations: np.ndarray, q: np.ndarray) -> np.ndarray:
        """The joints (n,) for one pose of each tool in the world, near `q` (n,)."""
        low = np.maximum(self._lower, q - self._reach)
        high = np.minimum(self._upper, q + self._reach)
        for _ in range(self._iterations):
            for task, position, rotation in zip(self._tasks, positions, rotations, strict=True):
                self._aim(task, position, rotation)
            self._box.low[self._dofs], self._box.high[self._dofs] = low - q, high - q
            move = self._step()
            if move is None:
                break
            before, q = q, np.clip(self._better(q, move[self._dofs]), low, high)
            if np.abs(q - before).max() < SETTLED:
                break
        return q

    def _better(self, q: np.ndarray, move: np.ndarray) -> np.ndarray:
        """Where as much of a move (n,) from `q` (n,) leads as makes things better: the solver's is
        of a linear model, by which an arm that is stretched out would tremble."""
        most = self._cost() + ALLOWED_COST
        for share in SHARES:
            self._configuration.update(self._whole(q + share * move))
            if self._cost() <= most:
                return q + share * move
        self._configuration.update(self._whole(q))
        return q

    def _cost(self) -> float:
        """What the solver's steps make small, where it is now."""
        tasks = [*self._tasks, self._posture]
        errors = [task.cost * task.compute_error(self._configuration) for task in tasks]
        return float(sum(error @ error for error in errors))

    def _aim(self, task, position: np.ndarray, rotation: np.ndarray) -> None:
        """At a pose in the world, or towards it where it is far away."""
        now = self._configuration.get_transform_frame_to_world(task.frame_name, task.frame_type)
        turn = self._mink.SO3.from_matrix(now.rotation().as_matrix().T @ rotation).log()
        turned = now.rotation() @ self._mink.SO3.exp(_shortened(turn, LARGEST_ERROR_RAD))
        way = _shortened(position - now.translation(), LARGEST_ERROR_M)
        pose = self._mink.SE3.from_rotation_and_translation(turned, now.translation() + way)
        task.set_target(pose)

    def _step(self) -> np.ndarray | None:
        """(nv,) one step of the solver; None where it finds none."""
        import qpsolvers

        tasks = [*self._tasks, self._posture]
        problem = self._mink.build_ik(self._configuration, tasks, 1.0, self._damping, [self._box])
        try:
            move = qpsolvers.solve_problem(problem, solver="quadprog").x
        except (qpsolvers.exceptions.QPError, np.linalg.LinAlgError):
            return None
        return move if move is not None and np.isfinite(move).all() else None

    def _whole(self, q: np.ndarray) -> np.ndarray:
        """(n,) -> (nq,) all positions of the model."""
        whole = self._model.qpos0.copy()
        whole[self._positions] = q
        return whole

    def _put(self, q: np.ndarray) -> None:
        self._data.qpos[:] = self._whole(q)
        self._mujoco.mj_kinematics(self._model, self._data)

    def _pose(self, kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and rotation (3, 3) of a frame in the world."""
        if kind == "site":
            place, turned = self._data.site_xpos[number], self._data.site_xmat[number]
        else:
            place, turned = self._data.xpos[number], self._data.xmat[number]
        return place.copy(), turned.reshape(3, 3).copy()


class _Box:
    """A limit of mink's: how far each degree of freedom may go now; by default nowhere."""

    def __init__(self, mink, nv: int):
        self.low, self.high = np.zeros(nv), np.zeros(nv)
        self._constraint = mink.Constraint
        self._both_ways = np.vstack([np.eye(nv), -np.eye(nv)])

    def compute_qp_inequalities(self, configuration, dt: float):
        """As mink asks for it."""
        return self._constraint(self._both_ways, np.concatenate([self.high, -self.low]))


def _libraries(name: str) -> tuple:
    try:
        import mink
        import mujoco
    except ImportError as error:
        raise UserError(
            f"contract {name} has actions that tell poses of tools, for which {error.name} is "
            "needed: pip install 'vdd_ros[cartesian]'"
        ) from None
    return mujoco, mink


def _compiled(mujoco, contract: Contract):
    assert contract.kinematics is not None
    try:
        return mujoco.MjModel.from_xml_string(contract.kinematics.model)
    except ValueError as error:
        told = " ".join(str(error).split())
        raise UserError(
            f"the kinematic model of contract {contract.name} is not usable ({told}): correct it"
        ) from None


def _frame(model, name: str) -> tuple[str, str, int]:
    """Name, kind (site or body) and number of a frame; a site where both have the name."""
    for number in range(model.nsite):
        if model.site(number).name == name:
            return name, "site", number
    return name, "body", model.body(name).id


def _moving(model, kind: str, number: int) -> set[int]:
    """The joints between a frame and the world."""
    body = int(model.site_bodyid[number]) if kind == "site" else number
    joints: set[int] = set()
    while body:
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        joints |= set(range(first, first + count))
        body = int(model.body_parentid[body])
    return joints


def _require_chain(
    model, contract: Contract, tool: Tool, moving: set[int], below: set[int]
) -> None:
    """A tool's joints have to be those that move it, and not the base frame, each of the kind that
    its unit says. moving, below: joints that move the tool and the base in the world."""
    if beside := below - moving:
        raise UserError(
            f"contract {contract.name}: {contract.frames.base} is moved by "
            f"{model.joint(min(beside)).name}, which does not move {tool.frame}: name a frame for "
            "frames.base that all tools hang from"
        )
    found = [model.joint(number).name for number in sorted(moving - below)]
    if set(found) != set(tool.joints):
        raise UserError(
            f"contract {contract.name}: in the kinematic model {', '.join(found) or 'nothing'} "
            f"moves {tool.frame} within {contract.frames.base}, but its joints are "
            f"{', '.join(tool.joints)}: name the same"
        )
    kinds = {"m": 2, "rad": 3}  # mjJNT_SLIDE, mjJNT_HINGE
    for joint in contract.joints:
        if joint.name in found and model.joint(joint.name).type[0] != kinds[joint.unit]:
            raise UserError(
                f"contract {contract.name}: {joint.name} is in {joint.unit}, and of another kind "
                "in the kinematic model: m is for slides, rad for hinges"
            )


def _posture(names: list[str], tools: tuple[Tool, ...]) -> np.ndarray:
    """(n,) what joints lean towards [unit], NaN for where they are."""
    known: dict[str, float] = {}
    for tool in tools:
        known = dict(zip(tool.joints, tool.posture or (), strict=False)) | known
    return np.array([known.get(name, np.nan) for name in names])


def _shortened(vector: np.ndarray, largest: float) -> np.ndarray:
    """The same direction, no longer than that; also of numbers too large to be squared."""
    scale = np.abs(vector).max()
    if scale <= largest / 2.0:
        return vector
    direction = vector / scale
    length = np.linalg.norm(direction)
    return direction / length * min(largest, scale * length)
