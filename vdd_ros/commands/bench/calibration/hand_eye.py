"""Hand-eye beside OpenCV's five solvers, on the same views, at four levels of corner noise.

Half of the setups have the camera on the arm, half beside it. OpenCV's solvers get the boards as
its own pose estimation places them (IPPE, then Levenberg-Marquardt), as is usual.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vdd_ros.calibration import rigid
from vdd_ros.calibration.board_views import BoardViews, Mounting, Sightings
from vdd_ros.calibration.hand_eye import hand_eye_of
from vdd_ros.calibration.hand_eye_start import SOLVERS, solved
from vdd_ros.calibration.planted import DISTANCE_M, TURNED_RAD, Setup, setup_of
from vdd_ros.commands.bench.calibration.arm import arm, kept
from vdd_ros.commands.bench.calibration.joint_offsets import TIMES_BOUND
from vdd_ros.commands.bench.calibration.with_lens import KINDS, LensTrial, normalised
from vdd_ros.commands.bench.calibration.with_offsets import OffsetTrial

VIEWS = 20
NOISES_PX = (0.1, 0.3, 0.5, 1.0)
JOINT_NOISE_RAD = 1e-4  # of each encoder in each view
STATED_PX, MOST_MM, MOST_DEG = 0.3, 0.5, 0.05
# of squared errors in units of the stated covariance: of a few setups its mean has some scatter
MOST_NORMALISED = 1.5
MOST_MM_OF_LENS = 1.0  # median, where the lens is estimated along with the place
MOUNTINGS: tuple[Mounting, Mounting] = ("eye_in_hand", "eye_to_hand")


def measured(setups: int, seed: int, report: Callable[..., None]) -> dict:
    """Errors of the camera's place and rotation: ours, and of each solver of OpenCV."""
    ours = {noise: [] for noise in NOISES_PX}
    theirs = {noise: {solver: [] for solver in SOLVERS} for noise in NOISES_PX}
    spreads, example = [], None
    trial = OffsetTrial(STATED_PX, JOINT_NOISE_RAD)
    lenses = LensTrial(STATED_PX, JOINT_NOISE_RAD)
    for number in range(setups):
        setup = planted(seed, number)
        example = example or setup
        for noise in NOISES_PX:
            rng = np.random.default_rng([seed, number, 1])
            views = setup.seen(rng, noise, JOINT_NOISE_RAD)
            found = hand_eye_of(views)
            ours[noise].append(errors_of(found.unknowns.camera, setup.camera))
            spreads.append(normalised(found, setup))
            for solver in SOLVERS:
                theirs[noise][solver].append(by_opencv(views, found.sightings, solver, setup))
        trial.take(setup, np.random.default_rng([seed, number, 3]))
        lenses.take(setup, np.random.default_rng([seed, number, 4]))
        report(number + 1, setups)
    levels = [level(noise, ours[noise], theirs[noise]) for noise in NOISES_PX]
    stated = next(one for one in levels if one["noise_px"] == STATED_PX)
    errors = {
        f"{STATED_PX} px, median [mm]": stated["median_mm"],
        f"{STATED_PX} px, median [deg]": stated["median_deg"],
        f"{STATED_PX} px, p95 [mm]": stated["p95_mm"],
        f"{STATED_PX} px, p95 [deg]": stated["p95_deg"],
    }
    bounds = dict(zip(errors, (MOST_MM, MOST_DEG) * 2, strict=True))
    with_offsets = trial.result()
    what = f"{STATED_PX} px, offsets of joints along with it, rms over Cramér-Rao"
    errors[what], bounds[what] = with_offsets["over_cramer_rao"], TIMES_BOUND
    errors["normalised error, lens known"] = float(np.mean(spreads))
    with_lens = lenses.result()
    for kind in KINDS:
        if kind in with_lens:
            errors[f"normalised error, lens of {kind}"] = with_lens[kind]["normalised_error"]
            errors[f"{STATED_PX} px, lens of {kind}, median [mm]"] = with_lens[kind]["median_mm"]
    bounds |= {
        what: MOST_NORMALISED if what.startswith("normalised") else MOST_MM_OF_LENS
        for what in errors.keys() - bounds.keys()
    }
    for one in levels:
        for unit in ("mm", "deg"):
            what = f"{one['noise_px']} px, median over OpenCV's best [{unit}]"
            errors[what], bounds[what] = one[f"median_{unit}"] / one[f"opencv_best_{unit}"], 1.0
    assert example is not None
    return {
        "ok": kept(errors, bounds),
        "setups": setups,
        "views": VIEWS,
        "board": example.board.label,
        "distance_m": DISTANCE_M,
        "focal_px": example.lens.focal,
        "picture_px": [example.lens.width, example.lens.height],
        "joints_within_rad": TURNED_RAD,
        "joint_noise_rad": JOINT_NOISE_RAD,
        "statistic": "median and 95th percentile over setups",
        "errors": errors,
        "bounds": bounds,
        "levels": levels,
        "with_offsets": with_offsets,
        "with_lens": with_lens,
        "normalised_error": float(np.mean(spreads)),
        "ratios": {
            f"hand_eye_over_opencv_{one['noise_px']}px": one["median_mm"] / one["opencv_best_mm"]
            for one in levels
        },
    }


def planted(seed: int, number: int) -> Setup:
    """One setup with its truth."""
    panda, rng = arm(), np.random.default_rng([seed, number])
    return setup_of(rng, panda.chain, panda.lower, panda.upper, MOUNTINGS[number % 2], VIEWS)


def errors_of(camera: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """[mm], [degrees]"""
    moved = 1e3 * float(rigid.distance_between(camera, truth))
    return moved, float(np.degrees(rigid.angle_between(camera, truth)))


def by_opencv(
    views: BoardViews, sightings: Sightings, solver: str, setup: Setup
) -> tuple[float, float]:
    """Errors of one solver; infinite where it finds nothing."""
    camera = solved(views.carried(), sightings.boards, solver)
    return (np.inf, np.inf) if camera is None else errors_of(camera, setup.camera)


def level(noise: float, ours: list, theirs: dict[str, list]) -> dict:
    """One noise level: ours beside theirs, of which the best by its own median counts."""
    mine = np.array(ours)
    by_solver = {solver: np.median(np.array(found), axis=0) for solver, found in theirs.items()}
    return {
        "noise_px": noise,
        "median_mm": float(np.median(mine[:, 0])),
        "p95_mm": float(np.percentile(mine[:, 0], 95)),
        "median_deg": float(np.median(mine[:, 1])),
        "p95_deg": float(np.percentile(mine[:, 1], 95)),
        "opencv_mm": {solver: float(found[0]) for solver, found in by_solver.items()},
        "opencv_deg": {solver: float(found[1]) for solver, found in by_solver.items()},
        "opencv_best_mm": float(min(found[0] for found in by_solver.values())),
        "opencv_best_deg": float(min(found[1] for found in by_solver.values())),
        "opencv_best_p95_mm": float(
            min(np.percentile(np.array(found)[:, 0], 95) for found in theirs.values())
        ),
    }
