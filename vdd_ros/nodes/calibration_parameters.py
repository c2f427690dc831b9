"""What is set of calibration_node."""

from __future__ import annotations

from dataclasses import dataclass

from vdd_ros.nodes.parameters import parameter

KINDS = ("joints", "hand_eye", "intrinsics", "gripper", "latency", "drift", "frames")


@dataclass(frozen=True)
class CalibrationParameters:
    contract: str = parameter("", "path of the robot's contract YAML", required=True)
    kind: str = parameter("latency", "what is calibrated", choices=KINDS)
    calibration: str = parameter(
        "", "folder of the robot's calibration files, to which the result is added", required=True
    )
    directory: str = parameter(
        "calibrations", "folder for what it is estimated from: episodes, or still poses"
    )
    recorder: str = parameter("recorder_node", "name of the recorder's node, for episodes")
    drive: bool = parameter(
        False,
        "move the arm, as a leader does and through the gate; without it a person moves it "
        "meanwhile",
    )
    joints: str = parameter(
        "", "names of joints and cameras that are meant, separated by spaces; empty: all"
    )
    share: float = parameter(
        0.3, "of the contract's limits, that it moves with", lower=0.01, upper=1.0
    )
    reach: float = parameter(
        0.2, "how far from where it is a joint is moved [rad, m]", lower=0.0, upper=1.0
    )
    seconds: float = parameter(
        8.0, "for each joint that is moved, or for a person to move the arm", lower=2.0, upper=600.0
    )
    device: str = parameter(
        "",
        "joints: YAML file of the leader, which is listened to on its own topic; empty: what comes "
        "on the contract's teleop stream",
    )
    poses: int = parameter(20, "still poses to take", lower=2, upper=500)
    camera: str = parameter("", "hand_eye, intrinsics: name of one of the contract's cameras")
    board: str = parameter(
        "", "hand_eye, intrinsics: YAML file of the board, see docs/calibration.md"
    )
    mounting: str = parameter(
        "eye_to_hand",
        "hand_eye: whether the camera is on the arm, or beside it and the board on the arm",
        choices=("eye_in_hand", "eye_to_hand"),
    )
    camera_info: str = parameter(
        "",
        "hand_eye: YAML file of the camera's intrinsics, empty: those of the calibration; "
        "intrinsics: such a file to be written for the driver",
    )
    kinematics: str = parameter(
        "", "hand_eye: YAML file of the arm's kinematics, where the contract has none"
    )
    task: str = parameter(
        "",
        "name of the simulated task in whose scene the arm may touch nothing; empty: a real robot",
    )
    seed: int = parameter(0, "of the poses that are tried", lower=0)
    stay: bool = parameter(False, "go on telling /tf_static once it is done")
    stretch: float = parameter(
        10.0, "drift: seconds that count as an episode does", lower=1.0, upper=3600.0
    )
    least: float = parameter(0.001, "what matters of a drift [rad, m]", lower=1e-6)
