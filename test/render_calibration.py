"""Poses of the simulated arm with rendered pictures of a board, as a calibration node takes them.

    MUJOCO_GL=egl python render_calibration.py FOLDER eye_in_hand|eye_to_hand VIEWS OFFSET_RAD

A process of its own, as a process renders in one way only. Prints what it planted as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
from planted_arms import known, rendered_lens, with_view

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board import Board
from vdd_ros.calibration.next_pose import candidates_around, next_pose
from vdd_ros.calibration.planted import setup_of
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.contract import Contract
from vdd_ros.sim.arm_contacts import ArmContacts
from vdd_ros.sim.board_scene import MARGIN_M, BoardScene

WIDTH, HEIGHT, FOVY_RAD = 640, 480, 0.8
BOARD = Board(columns=7, rows=5, square_m=0.03, marker_m=0.022)
TEXTURE = 6000.0  # pixels per metre
SEED = 4
FIRST, CANDIDATES = 4, 60  # poses at random; of the others those that say most and touch nothing
OFFSET_OF = 3  # the joint whose encoder is off


def contract() -> Contract:
    """The Panda with two cameras and its kinematics."""
    raw = Contract.from_yaml("config/panda_cameras.yaml").to_dict()
    posed = Contract.from_yaml("config/panda_avoid_tool_pose.yaml").to_dict()
    return Contract.from_dict(raw | {name: posed[name] for name in ("kinematics", "action")})


def main() -> None:
    """Write a log of poses, and say what is true."""
    folder, mounting, views, offset = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    robot = contract()
    lens = rendered_lens(WIDTH, HEIGHT, FOVY_RAD)
    lower, upper = robot.limit("lower"), robot.limit("upper")
    chain = chain_of(robot)
    rng = np.random.default_rng(SEED)
    setup = setup_of(rng, chain, lower, upper, mounting, FIRST, BOARD, lens)
    log = PoseLog.begin(folder, robot, BOARD)
    scene = BoardScene(
        BOARD.picture(TEXTURE, MARGIN_M),
        BOARD.size_m,
        mounting == "eye_in_hand",
        setup.camera,
        setup.target,
        WIDTH,
        HEIGHT,
        FOVY_RAD,
    )
    so_far, chosen = known(setup, FIRST), list(setup.joints)
    contacts = ArmContacts.of_task("avoid")
    while len(chosen) < views:
        tried = candidates_around(rng, setup.joints[0], lower, upper, CANDIDATES)
        best = next_pose(so_far, tried, lambda joints: not contacts.touches(joints))
        if best is not None:
            chosen.append(best.joints)
            so_far = with_view(so_far, best.joints)
    setup = replace(setup, joints=np.array(chosen))
    read = setup.joints.copy()
    read[:, OFFSET_OF] -= offset
    for number, joints in enumerate(setup.joints):
        told = dict(zip(robot.joint_names, read[number].tolist(), strict=True))
        log.add(number, told, pictures={"front": scene.picture(joints)})
    away = rigid.distance_between(scene.poses(setup.joints), chain.poses(setup.joints))
    scene.close()
    print(
        json.dumps(
            {
                "camera": setup.camera.tolist(),
                "matrix": lens.matrix.tolist(),
                "simulator_apart_m": float(away.max()),
            }
        )
    )


if __name__ == "__main__":
    main()
