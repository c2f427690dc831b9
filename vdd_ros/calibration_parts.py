"""The sections of a calibration file: what was estimated, how well it is known, and from what.

Values are SI and radians (a gripper's channel in the contract's unit). `T_parent_child` is the pose
of `child` in `parent` (REP-103, REP-105); a camera's frame is its optical one, z away from it and x
to its right. Covariances are those of the estimate, not of one reading.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vdd_ros.contract_parts import Encoder
from vdd_ros.fields import Finite, NotNegative, Part, Positive

Vector3 = tuple[Finite, Finite, Finite]
Quaternion = tuple[Finite, Finite, Finite, Finite]
Matrix = tuple[tuple[Finite, ...], ...]
UNIT_WITHIN = 1e-6  # by which a quaternion may be longer or shorter than one


class Source(Part):
    """What a section was estimated from.

    method: in a few words; data: files or folders, or what a node listened to; log_sha256: which
    log of poses, wherever it lies (`PoseLog.sha256`); count: poses, views
    or messages that were used; left_out: those that were not, as outliers or because they said
    nothing.
    """

    method: str = Field(min_length=1)
    data: tuple[str, ...] = ()
    count: Annotated[int, Field(ge=0)]
    left_out: Annotated[int, Field(ge=0)] = 0
    log_sha256: str | None = None


class Section(Part):
    """made: when it was estimated, ISO 8601 with its zone; source: from what."""

    made: str
    source: Source

    @model_validator(mode="after")
    def _made_is_a_time(self) -> Section:
        try:
            zone = datetime.fromisoformat(self.made).tzinfo
        except ValueError:
            zone = None
        if zone is None:
            raise ValueError(f"made is {self.made!r}; write a time such as 2026-05-31T12:00:00Z")
        return self


class Residuals(Part):
    """Of one quantity, over all that was used [unit]: root of the mean square, median, 95th
    percentile, worst. cross_validated: root of the mean square over poses that were left out of the
    estimate, None where that was not tried."""

    unit: Literal["px", "m", "rad", "s", "fraction"]
    rms: NotNegative
    median: NotNegative
    p95: NotNegative
    worst: NotNegative
    cross_validated: NotNegative | None = None


class JointOffset(Part):
    """reference = sign * encoder + offset [unit]; std: of the offset; scatter: of one pose.

    sign: 1, or -1 where both turn against each other.
    """

    unit: Literal["rad", "m"]
    sign: Literal[1, -1] = 1
    offset: Finite
    std: NotNegative
    residuals: Residuals


class JointOffsets(Section):
    """Of one arm against what it is compared with.

    joints: by the contract's name; covariance: (n, n) of their offsets, in the order of `joints`.
    """

    joints: dict[str, JointOffset] = Field(min_length=1)
    covariance: Matrix

    @model_validator(mode="after")
    def _covariance_fits(self) -> JointOffsets:
        require_covariance(self.covariance, len(self.joints))
        return self

    @property
    def corrections(self) -> dict[str, Encoder]:
        """Signs and offsets alone, as a contract has them."""
        return {
            name: Encoder(sign=one.sign, offset=one.offset) for name, one in self.joints.items()
        }


class Transform(Part):
    """T_parent_child: pose of `child_frame` in `parent_frame`, as of `static_transform_publisher`.

    covariance: (6, 6) of translation [m], then rotation [rad], both as small motions of the child
    seen in the parent's axes (a rotation vector from the left); as of PoseWithCovariance.
    """

    parent_frame: str = Field(min_length=1)
    child_frame: str = Field(min_length=1)
    translation_m: Vector3
    quat_xyzw: Quaternion
    covariance: Matrix

    @model_validator(mode="after")
    def _is_a_pose(self) -> Transform:
        if self.parent_frame == self.child_frame:
            raise ValueError(f"both frames are {self.parent_frame}: name two")
        length = float(np.linalg.norm(self.quat_xyzw))
        if abs(length - 1.0) > UNIT_WITHIN:
            raise ValueError(f"quat_xyzw has length {length:.6g}; that of a rotation is 1")
        require_covariance(self.covariance, 6)
        return self

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4)"""
        x, y, z, w = self.quat_xyzw
        found = np.eye(4)
        found[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        found[:3, 3] = self.translation_m
        return found


class LensAlong(Part):
    """A lens as it was estimated along with a camera's place: fx, fy, cx, cy, k1, k2, p1, p2, k3
    [pixels, 1], and their standard deviations, 0 where one was taken as exact.

    given: (6, 6) covariance of the camera's place were the lens exactly this one, which is by what
    two estimates with it differ.
    """

    numbers: tuple[Finite, ...] = Field(min_length=9, max_length=9)
    std: tuple[NotNegative, ...] = Field(min_length=9, max_length=9)
    given: Matrix

    @model_validator(mode="after")
    def _covariance_fits(self) -> LensAlong:
        require_covariance(self.given, 6)
        return self


class HandEye(Section):
    """Where a camera is.

    mounting: eye_to_hand (camera stands, parent is the base: T_base_cam) or eye_in_hand (camera is
    on the arm, parent is the tool: T_tool_cam); target: pose of the board in the other of the two
    frames. reprojection: distances of corners from where they should be; position, rotation: of the
    board's pose from view to view. joints, joints_std: offsets that were estimated along with it,
    by joint, and their standard deviations [rad, m]. factors: on the focal length and on the
    board's size that would fit best, each with its standard deviation; 1 where both are as stated.
    lens: as it was estimated along with it, None where it was taken as exact. encoders: sign and
    offset of the joints between base and tool with which it was estimated, by joint; None where
    nobody says.
    """

    mounting: Literal["eye_in_hand", "eye_to_hand"]
    camera: Transform
    target: Transform
    board: str = Field(min_length=1)
    reprojection: Residuals
    position: Residuals
    rotation: Residuals
    factors: dict[Literal["focal_length", "board_size"], tuple[Finite, NotNegative]] = {}
    joints: dict[str, Finite] = {}
    joints_std: dict[str, NotNegative] = {}
    lens: LensAlong | None = None
    encoders: dict[str, tuple[Literal[1, -1], Finite]] | None = None


class Intrinsics(Section):
    """K and distortion of one camera as `sensor_msgs/CameraInfo` has them [pixels].

    std: of fx, fy, cx, cy and of each number of distortion, in that order; covariance: (9, 9) of
    the same, where one was exact 0.
    """

    width: Annotated[int, Field(ge=1, le=16384)]
    height: Annotated[int, Field(ge=1, le=16384)]
    distortion_model: Literal["plumb_bob", "rational_polynomial"] = "plumb_bob"
    fx: Positive
    fy: Positive
    cx: Finite
    cy: Finite
    distortion: tuple[Finite, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    std: tuple[NotNegative, ...]
    covariance: Matrix | None = None
    board: str = Field(min_length=1)
    reprojection: Residuals

    @model_validator(mode="after")
    def _covariance_fits(self) -> Intrinsics:
        if self.covariance is not None:
            require_covariance(self.covariance, 9)
        return self

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) K [pixels]"""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


class Gripper(Section):
    """One gripper's channel, in the contract's unit of it.

    closed, open: what is measured at either end of its travel; opens: 1 where larger numbers open
    it, -1 where smaller ones do; width = width_at_zero_m + width_per_command_m * command [m], None
    where nobody measured it; force_free: the command at which it is closed on nothing and does not
    press.
    """

    unit: Literal["rad", "m", "fraction"]
    closed: Finite
    open: Finite
    opens: Literal[1, -1]
    width_at_zero_m: Finite | None = None
    width_per_command_m: Finite | None = None
    force_free: Finite
    residuals: Residuals


class RestOffset(Part):
    """What one joint measures minus what it is told, while both rest [unit]: mean over episodes
    without their extremes; std: of that mean; freedom: degrees of it."""

    unit: Literal["rad", "m"]
    offset: Finite
    std: NotNegative
    freedom: Annotated[int, Field(ge=1)]


class RestOffsets(Section):
    """Of one stream of commands, by joint: what drift is told from."""

    joints: dict[str, RestOffset] = Field(min_length=1)


class Latency(Section):
    """How late one stream is behind another [s], with an interval that holds it.

    between: from what to what, such as command to joint_state; level: of the interval.
    """

    between: tuple[str, str]
    delay_s: Finite
    interval_s: tuple[Finite, Finite]
    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    correlation: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None

    @model_validator(mode="after")
    def _interval_holds_it(self) -> Latency:
        low, high = self.interval_s
        if not low <= self.delay_s <= high:
            raise ValueError(f"delay_s {self.delay_s:g} is outside interval_s, {low:g} to {high:g}")
        return self


def require_covariance(matrix: Matrix, size: int) -> None:
    """Raise ValueError unless it is (size, size), symmetric and nowhere negative."""
    found = np.array(matrix, dtype=np.float64) if len({len(row) for row in matrix}) == 1 else None
    if found is None or found.shape != (size, size):
        raise ValueError(f"covariance is not {size} by {size}: write so many rows of so many")
    scale = np.abs(found).max()
    if scale and np.abs(found - found.T).max() > 1e-9 * scale:
        raise ValueError("covariance is not symmetric: restore the file")
    if scale and np.linalg.eigvalsh(found).min() < -1e-9 * scale:
        raise ValueError("covariance has a negative variance: restore the file")
