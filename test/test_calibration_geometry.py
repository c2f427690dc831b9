"""Geometry of calibration against closed forms, finite differences and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from planted_arms import CONTRACT, LOWER, UPPER, panda, setup
from scipy.linalg import expm

from vdd_ros.calibration import rigid
from vdd_ros.calibration.hand_eye_problem import OF_POSES, Problem, Unknowns
from vdd_ros.calibration.lens import Lens
from vdd_ros.calibration.lens_prior import LensPrior
from vdd_ros.calibration.planted import usual_lens
from vdd_ros.kinematics import Kinematics

MOUNTINGS = ("eye_in_hand", "eye_to_hand")


def finite_difference(function, at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """(..., P) central differences of a function of (P,)."""
    columns = [
        (function(at + step * unit) - function(at - step * unit)) / (2.0 * step)
        for unit in np.eye(len(at))
    ]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 0.3, 3.0])
def test_exp_is_the_matrix_exponential_and_log_its_inverse(size):
    twist = np.random.default_rng(0).standard_normal(6)
    twist *= size / np.linalg.norm(twist[3:])
    generator = np.zeros((4, 4))
    generator[:3, :3], generator[:3, 3] = rigid.skew(twist[3:]), twist[:3]
    np.testing.assert_allclose(rigid.exp(twist), expm(generator), atol=1e-13)
    np.testing.assert_allclose(rigid.log(rigid.exp(twist)), twist, atol=1e-9)


def test_inverse_and_moved_points_are_those_of_the_matrices():
    poses = rigid.exp(np.random.default_rng(1).standard_normal((5, 6)))
    np.testing.assert_allclose(rigid.inverse(poses), np.linalg.inv(poses), atol=1e-13)
    points = np.random.default_rng(2).standard_normal((7, 3))
    padded = np.concatenate([points, np.ones((7, 1))], axis=1)
    np.testing.assert_allclose(
        rigid.moved(poses, points), (poses @ padded.T).swapaxes(1, 2)[..., :3], atol=1e-13
    )


@pytest.mark.parametrize("size", [1e-6, 0.5, 2.5])
def test_the_left_jacobian_of_rotations(size):
    w = size * np.array([0.6, -0.64, 0.48])
    dw = 1e-7 * np.array([1.0, 2.0, -3.0])
    moved = rigid.log_rotation(rigid.exp_rotation(w + dw) @ rigid.exp_rotation(w).T)
    np.testing.assert_allclose(rigid.left_jacobian(w) @ dw, moved, rtol=1e-5, atol=1e-13)


def test_a_chain_is_the_kinematics_it_was_read_from():
    solver = Kinematics(CONTRACT)
    joints = np.random.default_rng(3).uniform(LOWER, UPPER, (30, len(LOWER)))
    told = solver.forward(joints)
    found = panda().poses(joints)
    np.testing.assert_allclose(found[:, :3, 3], told.positions[:, 0], atol=1e-9)
    np.testing.assert_allclose(found[:, :3, :3], told.rotations[:, 0], atol=1e-9)


def test_a_chains_jacobian_is_its_derivative():
    joints = np.random.default_rng(4).uniform(LOWER, UPPER)
    point = np.array([[0.1, -0.2, 0.3]])  # of the tool
    here = rigid.moved(panda().poses(joints[None]), point)[0, 0]
    slopes = finite_difference(lambda q: rigid.moved(panda().poses(q[None]), point)[0, 0], joints)
    twists = panda().jacobians(joints[None])[0]
    along = twists[:3] + np.cross(twists[3:].T, here).T
    np.testing.assert_allclose(along, slopes, atol=1e-8)


def test_a_lens_is_opencvs_and_its_slopes_are_its_derivative():
    cv2 = pytest.importorskip("cv2")
    lens = Lens(640, 480, usual_lens().matrix, np.array([-0.3, 0.12, 2e-3, -1e-3, -0.02]))
    points = np.random.default_rng(5).uniform([-0.3, -0.2, 0.5], [0.3, 0.2, 0.9], (20, 3))
    zero = np.zeros(3)
    told = cv2.projectPoints(points, zero, zero, lens.matrix, lens.distortion)[0].reshape(-1, 2)
    pixels, slopes = lens.pixels_and_slopes(points)
    np.testing.assert_allclose(pixels, told, atol=1e-9)
    expected = finite_difference(lambda one: lens.pixels(one), points[3])
    np.testing.assert_allclose(slopes[3], expected, rtol=1e-6, atol=1e-4)
    assert np.isnan(lens.pixels(np.array([0.0, 0.0, -1.0]))).all(), "behind the camera"


@pytest.mark.parametrize("mounting", MOUNTINGS)
def test_the_jacobian_of_hand_eye_is_its_derivative(mounting):
    planted = setup(mounting)
    views = planted.seen(np.random.default_rng(6), 0.3, 1e-4)
    start = Unknowns(planted.camera, planted.target, np.zeros(7))
    problem = Problem(views, start, np.array([1, 2, 5]))
    change = 0.02 * np.random.default_rng(7).standard_normal(OF_POSES + 3)
    expected = finite_difference(problem.residuals, change)
    np.testing.assert_allclose(problem.jacobian(change), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("from_others", [False, True])
def test_the_jacobian_by_the_lens_is_its_derivative(from_others):
    planted = setup("eye_in_hand")
    views = planted.seen(np.random.default_rng(6), 0.3, 1e-4)
    start = Unknowns(planted.camera, planted.target, np.zeros(7))
    root = 0.1 * np.random.default_rng(8).standard_normal((9, 9))
    prior = LensPrior(views.lens, root @ root.T, from_others)
    problem = Problem(views, start, np.array([1]), prior)
    change = 0.02 * np.random.default_rng(9).standard_normal(OF_POSES + 1 + 9)
    expected = finite_difference(problem.residuals, change)
    np.testing.assert_allclose(problem.jacobian(change), expected, rtol=1e-5, atol=1e-3)
    held = problem.held(change)
    np.testing.assert_allclose(held, problem.held_slopes() @ change, atol=1e-6)
    if from_others:
        assert held @ held == pytest.approx(
            change[-9:] @ np.linalg.solve(prior.covariance, change[-9:])
        )
    else:
        assert held.size == 0


@pytest.mark.parametrize("mounting", MOUNTINGS)
def test_at_the_truth_and_without_noise_nothing_is_left(mounting):
    planted = setup(mounting)
    offsets = np.array([0.0, 0.02, -0.01, 0.03, 0.0, -0.02, 0.0])
    views = planted.seen(np.random.default_rng(8), offsets=offsets)
    truth = Unknowns(planted.camera, planted.target, offsets)
    left = Problem(views, truth, np.arange(7)).residuals(np.zeros(OF_POSES + 7))
    assert np.abs(left).max() < 1e-9
