"""What tells observations out of distribution: its distance, what it says of it, its bundle."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.bundle_manifest import OOD_DETECTOR
from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.mahalanobis import Clusters
from vdd_ros.ood_detector import OodDetector, observation_names
from vdd_ros.sealed_folder import sha256

SIZE = 14  # of a flattened window of two readings of seven joints


def detector(seed=0, size=SIZE, clusters=3) -> OodDetector:
    rng = np.random.default_rng(seed)
    whiteners = rng.standard_normal((clusters, size, size)) + 3.0 * np.eye(size)
    means = rng.standard_normal((clusters, size))
    return OodDetector(Clusters(means, whiteners), 5, Threshold(4.0, 0.05, 19, 19))


def test_one_window_is_as_far_as_many_at_once():
    made, windows = detector(), np.random.default_rng(1).standard_normal((20, 2, 7))
    one_by_one = [made.distance_of(window) for window in windows]
    np.testing.assert_allclose(one_by_one, made.clusters.distance(windows.reshape(20, -1)))


def test_leaving_a_number_out_is_the_least_distance_over_all_its_values(contract):
    """Against least squares over the readings of that joint in the window."""
    made = detector(clusters=1)
    window = np.random.default_rng(2).standard_normal((2, 7))
    whitener, mean = made.clusters.whiteners[0], made.clusters.means[0]
    found = {one.name: one for one in made.deviations(window, contract)}
    assert len(found) == 7
    for place, (name, _) in enumerate(observation_names(contract)):
        free = whitener[:, [place, place + 7]]
        z = whitener @ (window.ravel() - mean)
        step, *_ = np.linalg.lstsq(free, -z, rcond=None)
        least = ((z + free @ step) ** 2).sum()
        assert found[name].share == pytest.approx((z**2).sum() - least)
        assert found[name].expected == pytest.approx(window[1, place] + step[1])
        assert found[name].value == window[1, place]


def test_the_number_that_is_off_comes_first_and_is_said_with_its_unit(contract):
    made = OodDetector(
        Clusters(np.zeros((1, 14)), 10.0 * np.eye(14)[None]), 5, Threshold(4.0, 0.05, 19, 19)
    )
    window = np.zeros((2, 7))
    window[:, 3] = -0.6
    said = made.explanation(window, 8.5, contract)
    assert said.startswith(
        "distance 8.5 from the training set, the threshold is 4: "
        "joint_position panda_joint4 is -0.600 rad, expected 0.000; "
    )


def test_of_a_number_that_a_cluster_does_not_weigh_nothing_is_expected(contract):
    """A bundle may say so; it is no reason for a run to end."""
    whitener = 10.0 * np.eye(14)
    whitener[:, [0, 7]] = 0.0  # joint 1, at both times
    made = OodDetector(Clusters(np.zeros((1, 14)), whitener[None]), 5, Threshold(4.0, 0.05, 9, 9))
    window = np.zeros((2, 7))
    window[:, :2] = 1.0, 0.5
    first, *others = made.deviations(window, contract)
    assert first.name.endswith("joint2") and first.share > 0.0
    (joint1,) = (one for one in others if one.name.endswith("joint1"))
    assert (joint1.value, joint1.expected, joint1.share) == (1.0, 1.0, 0.0)


def test_every_number_of_an_observation_has_a_name():
    contract = Contract.from_yaml("config/panda_lift_choice.yaml")
    names = observation_names(contract)
    assert len(names) == len(set(names)) == contract.observation_dim
    assert ("object_position left_cube y", "m") in names
    assert ("object_heading right_cube sin", "") in names
    assert names[7] == ("joint_position panda_gripper", "fraction")


def bundle(folder, contract, made):
    return write_bundle(
        folder, name="one", kind="mixture", contract=contract, rule=ActingRule(), n_obs_steps=2,
        horizon=4, n_experts=1, policy_onnx=b"", normalizer={}, certificate={},
        ood_detector=made,
    )  # fmt: skip


def test_a_bundle_carries_it_and_one_without_it_loads(contract, tmp_path):
    made = detector()._replace(surprise=Threshold(-3.0, 0.1, 9, 9))
    found = bundle(tmp_path / "with", contract, made).ood_detector
    assert found is not None
    np.testing.assert_array_equal(found.clusters.means, made.clusters.means)
    np.testing.assert_array_equal(found.clusters.whiteners, made.clusters.whiteners)
    assert found[1:] == made[1:]
    assert bundle(tmp_path / "without", contract, None).ood_detector is None


def test_one_that_was_edited_is_refused(contract, tmp_path):
    path = bundle(tmp_path / "one", contract, detector()).folder / "ood_detector.json"
    path.write_text(path.read_text().replace('"value": 4.0', '"value": 9.0'))
    with pytest.raises(UserError, match="damaged or edited"):
        Bundle.load(tmp_path / "one")


@pytest.mark.parametrize(
    "raw", [{}, [], {"means": [[0.0]], "whiteners": [[[1.0]]]}, detector(size=7).to_dict()]
)
def test_what_is_none_is_told(contract, tmp_path, raw):
    made = bundle(tmp_path / "one", contract, detector())
    written = json.dumps(raw).encode()
    (made.folder / OOD_DETECTOR).write_bytes(written)
    files = made.manifest.files | {OOD_DETECTOR: sha256(written)}
    manifest = made.manifest.model_copy(update={"files": files})
    broken = Bundle(made.folder, manifest, made.contract, made.rule)
    with pytest.raises(UserError, match="windows of 14 numbers.*: export the bundle again"):
        broken.ood_detector  # noqa: B018
