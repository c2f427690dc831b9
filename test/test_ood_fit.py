"""From windows to a detector: features and flattened windows alike, scenes, shifts, its command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from recordings import record

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.ood import (
    FEATURE_STD,
    READING_STD,
    calibrated,
    fit_window_clusters,
    flattened,
    looked_at,
    scenes,
)
from vdd_ros.policies.ood_trial import auroc
from vdd_ros.policies.shifts import layout_of, shifts_for
from vdd_ros.policies.windows import Windows


@pytest.fixture(scope="module")
def lift() -> Contract:
    return Contract.from_yaml("config/panda_lift_choice.yaml")


def demonstrations(contract, episodes, steps=1, per_scene=1, ticks=30, seed=0) -> Windows:
    """Objects somewhere, the arm on its way from one and the same pose to the first of them."""
    rng = np.random.default_rng(seed)
    observations = np.zeros((episodes, ticks, steps, contract.observation_dim))
    for k in range(episodes):
        if k % per_scene == 0:
            things = rng.uniform(-0.1, 0.1, contract.observation_dim - 8)
        way = np.linspace(0.0, 1.0, ticks)[:, None, None] + 0.01 * np.arange(steps)[:, None]
        observations[k, ..., :8] = way * np.resize(things[:3], 8)
        observations[k, ..., 8:] = things + 0.02 * way
    observations[..., :8] += 1e-3 * rng.standard_normal((*observations.shape[:-1], 8))
    count = episodes * ticks
    return Windows(
        observations.reshape(count, steps, -1),
        np.zeros((count, 4, 8)),
        np.zeros((count, 4), bool),
        np.repeat(np.arange(episodes), ticks),
    )


@pytest.mark.parametrize("steps", [1, 2])
def test_the_distance_of_a_flattened_window_is_that_of_its_features(lift, steps):
    windows = demonstrations(lift, 40, steps)
    normalizer = Normalizer.fit(
        windows.observations, windows.chunks + 0.0, 1, np.random.default_rng(0), degree=1
    )
    clusters = fit_window_clusters(normalizer, windows.observations, 4, seed=0)
    features = normalizer.features(windows.observations)
    inside = clusters.distance(flattened(windows.observations))
    for mean, whitener in zip(*clusters, strict=True):
        raw = mean.reshape(windows.observations.shape[1:])
        assert np.isfinite(normalizer.features(raw)).all()
        # no direction of features counts for more than their noise lets it
        slope = normalizer.features(np.eye(mean.size).reshape(-1, *raw.shape))
        slope = (slope - normalizer.features(np.zeros(raw.shape))).T
        precision = np.linalg.inv(slope).T @ whitener.T @ whitener @ np.linalg.inv(slope)
        assert np.linalg.eigvalsh(precision).max() <= FEATURE_STD**-2 * (1 + 1e-6)
        assert np.linalg.eigvalsh(whitener.T @ whitener).max() <= READING_STD**-2 * (1 + 1e-6)
    assert features.shape[1] == clusters.means.shape[1]
    assert np.median(inside) < np.sqrt(features.shape[1]) < 3.0 * np.median(inside)


def test_episodes_of_one_scene_are_known_by_their_objects(lift):
    windows = demonstrations(lift, 12, per_scene=4)
    np.testing.assert_array_equal(scenes(lift, windows), np.repeat([0, 1, 2], 4))
    np.testing.assert_array_equal(np.diff(scenes(lift, demonstrations(lift, 5))), np.ones(4))


def test_where_there_is_one_scene_alone_each_episode_counts(contract, lift):
    windows = demonstrations(lift, 6, per_scene=6)
    np.testing.assert_array_equal(scenes(lift, windows), np.arange(6))
    arm_alone = windows._replace(observations=windows.observations[..., :7])
    np.testing.assert_array_equal(scenes(contract, arm_alone), np.arange(6))


def test_what_is_looked_at_are_ticks_a_tenth_of_a_second_apart_with_whole_chunks(lift):
    windows = demonstrations(lift, 2, ticks=25)
    windows.is_pad[20:25] = True
    seen = looked_at(windows, lift)
    np.testing.assert_array_equal(seen.episode, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(seen.observations[1], windows.observations[10])


@pytest.fixture(scope="module")
def split(lift):
    training, held_out = demonstrations(lift, 160), demonstrations(lift, 40, seed=1)
    rng = np.random.default_rng(0)
    normalizer = Normalizer.fit(training.observations, training.chunks, 1, rng, degree=1)
    return training, calibrated(lift, normalizer, training, held_out, 0.05, seed=0)


def test_every_shift_changes_what_it_says_and_nothing_before_it(lift, split):
    training, _ = split
    layout = layout_of(lift, training)
    windows = demonstrations(lift, 1, seed=2).observations
    shifts = shifts_for(layout)
    assert len(shifts) == 9
    for name, shift in shifts.items():
        shifted, first = shift(windows, layout, np.random.default_rng(3))
        assert (name == "nothing") == np.array_equal(shifted, windows)
        np.testing.assert_array_equal(shifted[:first], windows[:first])
    moved = shifts["an object outside"](windows, layout, np.random.default_rng(3)).windows
    beyond = np.maximum(layout.lower - moved[0, -1], moved[0, -1] - layout.upper)
    assert beyond.max() == pytest.approx(0.05)


def test_without_objects_there_are_no_shifts_of_them(contract):
    training = Windows(np.zeros((2, 1, 7)), np.zeros((2, 1, 7)), np.zeros((2, 1)), np.arange(2))
    names = shifts_for(layout_of(contract, training))
    assert len(names) == 5 and not any("object" in name for name in names)


def test_a_detector_tells_shifted_demonstrations(lift, split):
    training, detector = split
    layout = layout_of(lift, training)
    usual = demonstrations(lift, 1, seed=4).observations
    swapped = shifts_for(layout)["two objects swapped"](usual, layout, np.random.default_rng(0))
    assert detector.distance_of(usual[0]) < detector.distance.value
    assert detector.distance_of(swapped.windows[-1]) > detector.distance.value


def test_auroc_is_the_share_of_pairs_in_order():
    assert auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx(3.5 / 4)
    same = np.random.default_rng(0).standard_normal(2000)
    assert auroc(same, same) == pytest.approx(0.5)


def test_recordings_are_counted_by_its_command(tmp_path, capsys):
    for number in range(20):
        record(tmp_path, 0.1 + 0.01 * number)
    words = ["bench", "ood", "--demonstrations", str(tmp_path), "--json", "--calls", "50"]
    assert cli.main(words) == cli.OK
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["episodes"] == {"fitted": 12, "calibrated": 4, "tried": 4}
    assert result["threshold"]["false_alarm_rate"] == pytest.approx(0.2)
    assert result["rows"][0]["shift"] == "nothing" and result["rows"][0]["auroc"] == {}
    assert result["us_per_tick"]["p50"] > 0.0


def test_a_student_without_its_teacher_is_refused(tmp_path, capsys):
    words = ["bench", "ood", "--demonstrations", str(tmp_path), "--student", str(tmp_path)]
    assert cli.main(words) == 2
    assert "name it with --teacher" in capsys.readouterr().err


def test_no_recordings_is_told(tmp_path):
    with pytest.raises(UserError, match="0 episodes in"):
        from vdd_ros.policies.demonstrations import split_of_recordings

        split_of_recordings(tmp_path)
