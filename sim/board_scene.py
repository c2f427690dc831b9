"""BoardScene: the simulated arm with a printed board and a camera, one on the arm, one beside it.

What a calibration sees in simulation: pictures that are really rendered, of robosuite's scene with
its meshes, lights and shadows, and a board with its pattern as texture.
"""

from __future__ import annotations

import mujoco
import numpy as np

from vdd_ros.sim.cameras import renderer_of
from vdd_ros.sim.env import RobosuiteEnv

THICK_M, MARGIN_M = 0.004, 0.012  # of the board; the paper around its pattern
COLLISION_GEOMS = 0  # their group, which is not shown
FACES = np.array([[0, 2, 1], [0, 3, 2]])
CAMERA, BOARD = "calibration_camera", "calibration_board"


class BoardScene:
    """Joints in, pictures out; frames are those of `vdd_ros.calibration.board_views`.

    Args:
        picture: (H, W) uint8, the board with a margin of MARGIN_M around its pattern.
        size_m: width and height of the pattern [m].
        on_arm: whether the camera is on the arm and the board stands, or the other way round.
        T_parent_cam: (4, 4) optical frame in the tool (on_arm) or the base.
        T_parent_board: (4, 4) the board's frame, at its pattern's first corner, in the base
            (on_arm) or the tool.
        width, height: of the pictures [pixels]; fovy_rad: angle of view from top to bottom.
    """

    def __init__(
        self,
        picture: np.ndarray,
        size_m: tuple[float, float],
        on_arm: bool,
        T_parent_cam: np.ndarray,  # noqa: N803
        T_parent_board: np.ndarray,  # noqa: N803
        width: int = 640,
        height: int = 480,
        fovy_rad: float = 0.8,
        task: str = "avoid",
    ):
        self._env = RobosuiteEnv(task)
        spec = mujoco.MjSpec.from_string(self._env.task.sim.model.get_xml())
        robot = self._env.task.robots[0]
        base = spec.body(robot.robot_model.root_body)
        site = robot.gripper["right"].important_sites["grip_site"]
        tool = next(one for one in spec.sites if one.name == site)
        held, standing = (
            (T_parent_cam, T_parent_board) if on_arm else (T_parent_board, T_parent_cam)
        )
        on_tool = _frame_of(tool) @ held
        camera_body, camera_pose = (tool.parent, on_tool) if on_arm else (base, standing)
        board_body, board_pose = (base, standing) if on_arm else (tool.parent, on_tool)
        # MuJoCo's cameras look along -z with y up, optical frames along z with y down
        eye = camera_pose @ np.diag([1.0, -1.0, -1.0, 1.0])
        camera_body.add_camera(
            name=CAMERA, pos=eye[:3, 3], quat=_quat(eye), fovy=float(np.degrees(fovy_rad))
        )
        _add_board(spec, board_body, board_pose, picture, size_m)
        spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        names = robot.robot_model.joints
        self._places = [int(self._model.joint(name).qposadr[0]) for name in names]
        self._others = self._env.task.sim.data.qpos.copy()
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GEOMS] = 0
        self._options.sitegroup[:] = 0
        self._renderer = renderer_of(self._model, height, width)

    def picture(self, joints: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8, RGB, of the arm with its joints (J,) [rad] there."""
        self._put(joints)
        self._renderer.update_scene(self._data, CAMERA, self._options)
        return self._renderer.render()

    def poses(self, joints: np.ndarray) -> np.ndarray:
        """(N, J) -> (N, 4, 4) T_base_tool, by the simulator."""
        return np.stack([self._pose(one) for one in joints])

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
        self._env.close()

    def _put(self, joints: np.ndarray) -> None:
        self._data.qpos[: len(self._others)] = self._others
        self._data.qpos[self._places] = joints
        mujoco.mj_forward(self._model, self._data)

    def _pose(self, joints: np.ndarray) -> np.ndarray:
        self._put(joints)
        robot = self._env.task.robots[0]
        base = self._data.body(robot.robot_model.root_body)
        tool = self._data.site(robot.gripper["right"].important_sites["grip_site"])
        turned = base.xmat.reshape(3, 3).T
        found = np.eye(4)
        found[:3, :3] = turned @ tool.xmat.reshape(3, 3)
        found[:3, 3] = turned @ (tool.xpos - base.xpos)
        return found


def _add_board(spec, body, pose: np.ndarray, picture: np.ndarray, size_m) -> None:
    """A thin box with the picture on the side that looks out: z of its frame goes into it."""
    low = np.array([-MARGIN_M, -MARGIN_M])
    high = np.array(size_m) + MARGIN_M
    x = np.array([low[0], high[0], high[0], low[0]])
    y = np.array([low[1], low[1], high[1], high[1]])
    front = np.stack([x, y, np.zeros(4)], axis=1)
    back = np.stack([x, y, np.full(4, THICK_M)], axis=1)
    # of the picture, whose rows go down as the board's y does; the back shows one white pixel
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
    white = np.full((4, 2), 0.002)
    faces = [FACES, FACES[:, ::-1] + 4]
    for first in range(4):
        second = (first + 1) % 4
        faces.append(np.array([[first + 4, first, second], [first + 4, second, second + 4]]))
    vertices = np.concatenate([front, back, front])
    texture = np.concatenate([corners, white, white])
    sides = np.where(
        np.concatenate(faces[2:]) < 4, np.concatenate(faces[2:]) + 8, np.concatenate(faces[2:])
    )
    every = np.concatenate([faces[0], faces[1], sides])
    mesh = spec.add_mesh(name=BOARD)
    mesh.uservert, mesh.usertexcoord = vertices.ravel(), texture.ravel()
    mesh.userface = every.ravel()
    rgb = np.repeat(picture[:, :, None], 3, axis=2)
    made = spec.add_texture(
        name=BOARD,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=picture.shape[1],
        height=picture.shape[0],
        nchannel=3,
    )
    made.data = rgb.tobytes()
    material = spec.add_material(name=BOARD, specular=0.0, shininess=0.0, emission=0.3)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = BOARD
    holder = body.add_body(name=BOARD, pos=pose[:3, 3], quat=_quat(pose))
    holder.add_geom(
        name=BOARD,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=BOARD,
        material=BOARD,
        contype=0,
        conaffinity=0,
        group=1,
        mass=0.0,
    )


def _frame_of(site) -> np.ndarray:
    """(4, 4) of a site in its body."""
    found = np.eye(4)
    turned = np.empty(9)
    mujoco.mju_quat2Mat(turned, np.array(site.quat))
    found[:3, :3], found[:3, 3] = turned.reshape(3, 3), site.pos
    return found


def _quat(pose: np.ndarray) -> np.ndarray:
    """(4,) w, x, y, z"""
    found = np.empty(4)
    mujoco.mju_mat2Quat(found, np.ascontiguousarray(pose[:3, :3]).ravel())
    return found
