"""From recorded poses to the sections of a calibration file: what the command and the node call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews, Mounting
from vdd_ros.calibration.chain import Chain
from vdd_ros.calibration.hand_eye_estimate import HandEyeEstimate
from vdd_ros.calibration.hand_eye_problem import OF_POSES
from vdd_ros.calibration.joint_offsets import PairedPoses
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.pose_log import Against, PoseLog
from vdd_ros.calibration.seen_board import Seen, picture_size
from vdd_ros.calibration.summary import residuals_of
from vdd_ros.calibration_parts import HandEye, LensAlong, Matrix, Source, Transform
from vdd_ros.contract import Contract
from vdd_ros.contract_parts import Encoder
from vdd_ros.contract_parts import Kinematics as Model
from vdd_ros.errors import UserError

BEYOND = 0.5  # of its range, by which a joint may be outside of it: offsets may be unknown so far


def against_of(log: PoseLog, stated: Against | None) -> Against:
    """Whose joints a log's references are. A leader's, taken for the model's, would turn and move
    every command of the arm. Raises UserError where nobody says, or both differ."""
    told = log.header.against
    if told is None and stated is None:
        raise UserError(
            f"{log.folder} does not say what joints are compared with: write --against model, or "
            "--against leader"
        )
    if told is not None and stated not in (None, told):
        raise UserError(
            f"the poses of {log.folder} are compared with the {told}, not with the {stated}: write "
            f"--against {told}, or name other poses"
        )
    found = told or stated
    assert found is not None
    return found


def paired_poses(log: PoseLog, against: Against) -> PairedPoses:
    """Of joints that all poses of a log have a reference for: against a model its own encoders
    beside what the model says, against a leader the leader's joints beside the arm's."""
    contract = log.contract
    named = [set(pose.reference) for pose in log.poses]
    common = set.intersection(*named) if named else set()
    if foreign := sorted(common - set(contract.joint_names)):
        raise UserError(
            f"{log.folder} compares {foreign[0]}, which is no joint of {contract.name}: name "
            "references as the contract names its joints"
        )
    joints = tuple(
        joint for joint in contract.joints if joint.name in common and joint.unit != "fraction"
    )
    if not joints:
        raise UserError(
            f"the poses of {log.folder} have no reference for any joint: take them with a leader, "
            "or with what the model says"
        )
    columns = [contract.joint_names.index(joint.name) for joint in joints]
    told = [[pose.reference[joint.name] for joint in joints] for pose in log.poses]
    reference = np.array(told, dtype=np.float64)
    if against == "leader":
        return PairedPoses(joints, reference, log.joints()[:, columns])
    return PairedPoses(joints, log.encoders()[:, columns], reference)


def chain_of(contract: Contract, model: Model | None = None) -> Chain:
    """The chain of the contract's tool. model: of a contract whose actions need no kinematics.

    Raises UserError where there is neither, or where they do not fit.
    """
    from vdd_ros.kinematics import Kinematics

    whole = _with_model(contract, model)
    assert whole.kinematics is not None
    frames = [tool.frame for tool in whole.kinematics.tools]
    place = frames.index(whole.frames.tool)
    solver = Kinematics(whole)
    moving = whole.kinematics.tools[place].joints
    names = [whole.joint_names[index] for index in solver.chain]
    names = [name for name in names if name in moving]
    columns = [whole.joint_names.index(name) for name in names]

    def forward(joints: np.ndarray) -> np.ndarray:
        every = np.zeros((len(joints), whole.n_joints))
        every[:, columns] = joints
        poses = solver.forward(every)
        return rigid.pose(poses.rotations[:, place], poses.positions[:, place])

    return Chain.of(names, forward)


def _with_model(contract: Contract, model: Model | None) -> Contract:
    if contract.kinematics is not None:
        return contract
    if model is None:
        raise UserError(
            f"contract {contract.name} has no kinematics, by which joints say where the tool is: "
            "name a model with --kinematics, such as config/kinematics/panda_tools.yaml"
        )
    tool = next((one for one in model.tools if one.frame == contract.frames.tool), None)
    if tool is None:
        raise UserError(
            f"the model has no tool {contract.frames.tool}, only "
            f"{', '.join(one.frame for one in model.tools)}: name another model or contract"
        )
    raw = contract.to_dict()
    raw["kinematics"] = {"model": model.model, "tools": [tool.model_dump(exclude_none=True)]}
    raw["observation"] = [{"name": "q", "stream": "joint_state", "field": "position"}]
    raw["action"] = {"name": "q", "stream": contract.action.stream, "meaning": "tool_pose"}
    return Contract.from_dict(raw, f"the kinematics with contract {contract.name}")


def board_views(
    log: PoseLog, seen: Seen, mounting: Mounting, lens: Lens, chain: Chain
) -> BoardViews:
    """What hand-eye is estimated from; raises UserError where no picture shows the board, or the
    pictures are not those of the lens."""
    if not seen.places:
        raise UserError(
            f"no picture of {log.folder} shows the board {_label(log)}: is it that board, in the "
            "light and in focus?"
        )
    size = picture_size(log, seen.camera)
    if size != (lens.width, lens.height):
        raise UserError(
            f"the pictures are {size[0]}x{size[1]}, the intrinsics are of "
            f"{lens.width}x{lens.height}: name the intrinsics of these pictures"
        )
    _require_within(log)
    columns = [log.contract.joint_names.index(name) for name in chain.names]
    joints = log.joints()[seen.places][:, columns]
    return BoardViews.of_joints(mounting, lens, chain, joints, seen.corners)


def _require_within(log: PoseLog) -> None:
    """Raise UserError where a joint is far outside its limits, as one in degrees is."""
    contract, joints = log.contract, log.joints()
    beyond = np.argwhere(contract.beyond(joints, BEYOND))
    if len(beyond):
        place, at = beyond[0]
        joint = contract.joints[at]
        raise UserError(
            f"{joint.name} is at {joints[place, at]:.4g} {joint.unit} in pose {place} of "
            f"{log.folder}, its limits are {joint.lower:g} and {joint.upper:g}: is its driver in "
            "degrees or millimetres, or its offset wrong?"
        )


def hand_eye_section(
    estimate: HandEyeEstimate,
    contract: Contract,
    camera: str,
    board: str,
    made: str,
    source: Source,
) -> HandEye:
    """As the calibration file has it; camera: one of the contract's, whose frame is the child."""
    views, unknowns, cov = estimate.views, estimate.unknowns, estimate.covariance
    base, tool = contract.frames.base, contract.frames.tool
    on_arm = views.mounting == "eye_in_hand"
    chain = views.chain
    return HandEye(
        made=made,
        source=source,
        mounting=views.mounting,
        camera=_transform(
            tool if on_arm else base, contract.cameras[camera].frame, unknowns.camera, cov[:6, :6]
        ),
        target=_transform(
            base if on_arm else tool, "calibration_board", unknowns.target, cov[6:12, 6:12]
        ),
        board=board,
        reprojection=residuals_of(
            "px",
            estimate.reprojection,
            float(np.sqrt(np.nanmean(estimate.held_out[estimate.used] ** 2))),
        ),
        position=residuals_of("m", np.linalg.norm(estimate.apart[estimate.used, :3], axis=1)),
        rotation=residuals_of("rad", np.linalg.norm(estimate.apart[estimate.used, 3:], axis=1)),
        factors={
            "focal_length": (estimate.factors.focal, estimate.factors.focal_std),
            "board_size": (estimate.factors.size, estimate.factors.size_std),
        },
        joints={}
        if chain is None
        else {chain.names[j]: float(unknowns.offsets[j]) for j in estimate.free},
        joints_std={}
        if chain is None
        else {
            chain.names[j]: float(np.sqrt(cov[OF_POSES + at, OF_POSES + at]))
            for at, j in enumerate(estimate.free)
        },
        lens=_lens_along(estimate),
        encoders=_encoders(estimate, contract),
    )


def _encoders(
    estimate: HandEyeEstimate, contract: Contract
) -> dict[str, tuple[Literal[1, -1], float]] | None:
    """Those of the contract, with what was estimated along with the camera."""
    chain = estimate.views.chain
    if chain is None:
        return None
    found = {name: contract.encoders.get(name, Encoder()) for name in chain.names}
    added = dict(zip(chain.names, estimate.unknowns.offsets.tolist(), strict=True))
    return {name: (one.sign, one.offset + added[name]) for name, one in found.items()}


def _lens_along(estimate: HandEyeEstimate) -> LensAlong | None:
    if not estimate.lens_std.any():
        return None
    return LensAlong(
        numbers=tuple(estimate.views.lens.numbers.tolist()),
        std=tuple(estimate.lens_std.tolist()),
        given=_rows(estimate.given_lens),
    )


def _transform(parent: str, child: str, matrix: np.ndarray, covariance: np.ndarray) -> Transform:
    return Transform(
        parent_frame=parent,
        child_frame=child,
        translation_m=tuple(matrix[:3, 3].tolist()),
        quat_xyzw=tuple(rigid.quat_xyzw(matrix).tolist()),
        covariance=_rows(covariance),
    )


def _rows(covariance: np.ndarray) -> Matrix:
    even = (covariance + covariance.T) / 2.0
    return tuple(tuple(row) for row in even.tolist())


def _label(log: PoseLog) -> str:
    return "" if log.header.board is None else f"({log.header.board.label})"


def joints_by_name(chain: Chain, names: Sequence[str]) -> tuple[int, ...]:
    """Places in the chain of joints whose offsets are to be estimated; raises UserError where one
    is unknown, or cannot be told from where the camera or the board is."""
    names = tuple(dict.fromkeys(names))  # one that is named twice is one
    unknown = sorted(set(names) - set(chain.names))
    if unknown:
        raise UserError(f"{unknown[0]} is no joint of the tool: {', '.join(chain.names)}")
    ends = {chain.names[0], chain.names[-1]} & set(names)
    if ends:
        raise UserError(
            f"the offset of {sorted(ends)[0]}, the first or last joint, cannot be told from where "
            "camera and board are: leave it out"
        )
    return tuple(chain.names.index(name) for name in names)
