"""Six numbers for a rotation: against scipy's rotations, and properties of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vdd_ros.rotations import DegenerateRotation, rotation_of, six_of

numbers = st.floats(-10.0, 10.0)
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)
turns = st.lists(st.floats(-7.0, 7.0), min_size=3, max_size=3).map(np.array)


def test_six_numbers_are_the_first_two_columns_and_give_scipys_matrix_back():
    rotations = Rotation.random(500, random_state=1)
    matrices = rotations.as_matrix()
    six = six_of(matrices)
    np.testing.assert_array_equal(six[:, :3], matrices[:, :, 0])
    np.testing.assert_array_equal(six[:, 3:], matrices[:, :, 1])
    found = rotation_of(six)
    np.testing.assert_allclose(found, matrices, atol=1e-12)
    away = Rotation.from_matrix(found) * rotations.inv()
    assert away.magnitude().max() < 1e-7


@given(turns)
def test_there_and_back_is_the_same(turn):
    matrix = Rotation.from_rotvec(turn).as_matrix()
    np.testing.assert_allclose(rotation_of(six_of(matrix)), matrix, atol=1e-12)


@given(vectors, vectors)
def test_of_any_six_numbers_comes_a_rotation_or_none(first, second):
    six = np.concatenate([first, second])
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    sine = np.linalg.norm(np.cross(first, second)) / lengths if lengths > 0.0 else 0.0
    try:
        matrix = rotation_of(six)
    except DegenerateRotation:
        assert min(sine, np.linalg.norm(first), np.linalg.norm(second)) < 1.001e-3
        return
    assert sine > 0.999e-3
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    np.testing.assert_allclose(matrix[:, 0], first / np.linalg.norm(first), atol=1e-12)


@given(turns, vectors, vectors)
def test_a_little_off_is_a_little_turned(turn, first, second):
    six = six_of(Rotation.from_rotvec(turn).as_matrix())
    off = 1e-4 * np.concatenate([first, second])
    found = rotation_of(six + off)
    assert np.abs(found - rotation_of(six)).max() <= 4.0 * np.linalg.norm(off) + 1e-12


@given(turns.filter(lambda axis: np.linalg.norm(axis) > 0.1))
def test_at_half_a_turn_nothing_jumps(axis):
    """Where the rotation vector changes its sign, as do quaternions kept in one half."""
    axis = axis / np.linalg.norm(axis)
    angles = np.pi + np.array([-1e-6, 1e-6])
    before, after = Rotation.from_rotvec(angles[:, None] * axis)
    assert np.linalg.norm(before.as_rotvec() - after.as_rotvec()) > 6.0
    six = six_of(np.array([before.as_matrix(), after.as_matrix()]))
    assert np.abs(six[0] - six[1]).max() < 1e-5
    found = rotation_of(six.mean(0))  # and what lies between is half a turn about the same axis
    half = Rotation.from_rotvec(np.pi * axis).as_matrix()
    np.testing.assert_allclose(found, half, atol=1e-5)


@pytest.mark.parametrize(
    "six",
    [
        np.zeros(6),
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 1, 0, 0, 2, 0],
        [0, 1, 0, 0, -1, 0],
        [1e-9, 0, 0, 0, 1, 0],
        [1, 0, 0, 1, 1e-5, 0],
        [5e-324, 0, 0, 0, 1, 0],
    ],
)
def test_columns_of_zeros_and_parallel_ones_are_refused(six):
    good = six_of(np.eye(3))
    with pytest.raises(DegenerateRotation):
        rotation_of(np.array([good, np.array(six, dtype=float)]))


@pytest.mark.parametrize("size", [2e-3, 1e9, 1e154, 1.7e308])
def test_the_size_of_the_numbers_does_not_matter(size):
    matrix = Rotation.from_rotvec([0.3, -0.2, 1.0]).as_matrix()
    np.testing.assert_allclose(rotation_of(size * six_of(matrix)), matrix, atol=1e-12)


def test_leading_dimensions_stay():
    matrices = Rotation.random(12, random_state=2).as_matrix().reshape(2, 3, 2, 3, 3)
    assert six_of(matrices).shape == (2, 3, 2, 6)
    np.testing.assert_allclose(rotation_of(six_of(matrices)), matrices, atol=1e-12)
