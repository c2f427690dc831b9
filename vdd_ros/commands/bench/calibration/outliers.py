"""What 30 % of gross outliers do to joint offsets and to hand-eye.

Of joints, each reading of a pose is wrong with that probability, by 0.1 rad to half a turn. Of
hand-eye, 6 of 20 views are of an arm that stands elsewhere than it says, by 0.1 to 0.5 rad in every
joint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.joint_offsets import PairedPoses, offsets_of
from vdd_ros.commands.bench.calibration import hand_eye, joint_offsets
from vdd_ros.commands.bench.calibration.arm import arm, kept
from vdd_ros.errors import UserError

SHARE = 0.3
NOISE_RAD, NOISE_PX = 5e-4, 0.3
GROSS_RAD = (0.1, 0.5)
LEAST_WRONG_RAD = 0.1


def measured(setups: int, seed: int, report: Callable[..., None]) -> dict:
    """Errors with outliers beside the same bounds as without."""
    joints, cameras, refused, found_wrong = [], [], 0, []
    for number in range(setups):
        rng = np.random.default_rng([seed, number, 2])
        pairs, _, offsets = joint_offsets.planted(np.random.default_rng([seed, number]), NOISE_RAD)
        joints.append(offsets_of(_spoilt(pairs, rng)).offsets - offsets)
        setup = hand_eye.planted(seed, number)
        views = setup.seen(rng, NOISE_PX, hand_eye.JOINT_NOISE_RAD)
        bad = rng.permutation(len(views)) < round(SHARE * len(views))
        assert views.joints is not None
        away = rng.choice([-1.0, 1.0], views.joints.shape) * rng.uniform(
            *GROSS_RAD, views.joints.shape
        )
        told = np.where(bad[:, None], views.joints + away, views.joints)
        views = replace(views, tools=arm().chain.poses(told), joints=told)
        try:
            found = hand_eye_of(views)
        except UserError:
            refused += 1
        else:
            cameras.append(hand_eye.errors_of(found.unknowns.camera, setup.camera))
            found_wrong.append((found.used == ~bad).all())
        report(number + 1, setups)
    least = float(np.sqrt(2.0 * NOISE_RAD**2 / joint_offsets.POSES))
    rms, away = float(np.sqrt(np.mean(np.square(joints)))), np.array(cameras)
    errors = {
        "joint offsets, rms over Cramér-Rao without outliers": rms / least,
        "joint offsets, worst [rad]": float(np.abs(joints).max()),
        "hand-eye, median [mm]": float(np.median(away[:, 0])),
        "hand-eye, median [deg]": float(np.median(away[:, 1])),
        "hand-eye, worst [mm]": float(away[:, 0].max()),
        "hand-eye, refused": float(refused),
    }
    bounds = dict(
        zip(
            errors,
            (joint_offsets.TIMES_BOUND, 0.01, hand_eye.MOST_MM, hand_eye.MOST_DEG, 10.0, 0.0),
            strict=True,
        )
    )
    return {
        "ok": kept(errors, bounds),
        "setups": setups,
        "share": SHARE,
        "noise_rad": NOISE_RAD,
        "noise_px": NOISE_PX,
        "statistic": "root mean square, median and worst over setups",
        "errors": errors,
        "bounds": bounds,
        "views_told_apart": float(np.mean(found_wrong)),
    }


def _spoilt(pairs: PairedPoses, rng: np.random.Generator) -> PairedPoses:
    shape = pairs.reference.shape
    wrong = rng.choice([-1.0, 1.0], shape) * rng.uniform(LEAST_WRONG_RAD, np.pi, shape)
    # exactly that share of each joint's readings, in poses of its own
    order = np.argsort(rng.random(shape), axis=0)
    bad = order < round(SHARE * len(order))
    return PairedPoses(pairs.joints, pairs.encoder, pairs.reference + np.where(bad, wrong, 0.0))
