"""A policy that sees images, as it is deployed: encoders in its bundle, features in its window."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from recordings import SECOND, position_at
from seeing import photograph, seeing, seen_episodes

from vdd_ros import cli
from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.bundle import Bundle
from vdd_ros.bundle_checks import require_encoders
from vdd_ros.bundle_verification import Failed, verified
from vdd_ros.cdr import image_cdr
from vdd_ros.command_gate import StopReason
from vdd_ros.commands.bench.bundle.scene import reseal
from vdd_ros.errors import UserError
from vdd_ros.eyes import MADE
from vdd_ros.images import decode_image
from vdd_ros.inference import PolicyOutput
from vdd_ros.policies.certify import FEATURE_BOUND
from vdd_ros.policies.distil import distil
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.export import acting_windows
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.ood import features_of
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.runs import load_windows, to_tensors
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig

SEEING = seeing()
MS = 1_000_000
ENCODER = EncoderConfig(channels=4, stages=2, keypoints=4, features=6, draws=2)
TEACHER = TeacherConfig(n_obs_steps=2, horizon=4, rank=5, width=32, blocks=1)
TRAINING = TrainingConfig(steps=6, batch_size=8, bf16=False, warmup_steps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def teacher(folder):
    shown = seen_episodes(SEEING, folder / "episodes", 0.6, 0.5, 0.5)
    return train_teacher(SEEING, shown, folder / "teacher", TEACHER, TRAINING, 1, encoder=ENCODER)


@pytest.fixture(scope="module")
def student(teacher, folder):
    config = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
    pool, sampler = PoolConfig(size=60), SamplerConfig("euler", 2)
    parts = (teacher, folder / "student", "vdd", config, TRAINING)
    return distil(*parts, pool=pool, sampler=sampler)


@pytest.fixture(scope="module")
def bundle(teacher, student, folder) -> Bundle:
    words = ["export", "--run", student.folder, "--teacher", teacher.folder, "--out", folder / "b"]
    assert cli.main([str(word) for word in words]) == 0
    return Bundle.load(folder / "b", SEEING)


def test_the_graphs_are_the_network_and_the_certificate_says_how_nearly(bundle, teacher, student):
    held_out = load_windows(teacher, held_out=True)
    cond = to_tensors(student.normalizer, held_out, student.encoder).cond
    given = acting_windows(held_out, student.encoder)
    assert given.shape == (len(cond), 2, 7 + 2 * 7) and not given[:, 0, 7:].any()
    policy = bundle.open_policy()
    for row in range(0, len(cond), 9):
        found = policy.infer(given[row])
        with torch.no_grad():
            mixture = student.moe(cond[row : row + 1])
        wanted = student.normalizer.unnormalize(
            mixture.means[0].double().numpy(), held_out.observations[row]
        )
        np.testing.assert_allclose(found.means, wanted, atol=1e-4)
        np.testing.assert_allclose(found.log_gating, mixture.log_weights[0], atol=1e-5)
    parity = json.loads((bundle.folder / "certificate.json").read_text())["parity"]["fp32"]
    assert parity["pictures"] == 2 * (32 + MADE)  # of each image, held out and made
    assert 0.0 < parity["largest_feature_error"] <= FEATURE_BOUND


def test_the_bundle_tells_images_from_those_of_training(bundle, teacher):
    """What its encoders make of the other camera is further off than all that they were trained on;
    too few episodes are held out here for a threshold."""
    detector = bundle.ood_detector
    assert [one.image for one in detector.images] == ["front", "hand"]
    assert all(one.distance is None for one in detector.images)
    shown = features_of(load_windows(teacher, held_out=False), teacher.encoder)
    for index, one in enumerate(detector.images):
        familiar = max(one.distance_of(row) for row in shown[:, index])
        assert familiar < one.distance_of(shown[:, 1 - index].mean(0))


def with_detector(bundle, folder, raw: dict) -> Bundle:
    """The bundle with another detector, as if it had been exported so."""
    folder = shutil.copytree(bundle.folder, folder)
    data = json.dumps(raw).encode()
    (folder / "ood_detector.json").write_bytes(data)
    files = bundle.manifest.files | {"ood_detector.json": hashlib.sha256(data).hexdigest()}
    manifest = bundle.manifest.model_copy(update={"files": files})
    return dataclasses.replace(bundle, folder=folder, manifest=manifest)


def test_a_detector_of_other_images_is_refused(bundle, tmp_path):
    raw = json.loads((bundle.folder / "ood_detector.json").read_text())
    raw["images"][1]["image"] = "elsewhere"
    with pytest.raises(UserError, match=r"is of images .*elsewhere.*export the bundle again"):
        _ = with_detector(bundle, tmp_path / "a", raw).ood_detector
    raw["images"][1]["means"] = []
    with pytest.raises(UserError, match="does not say how far"):
        _ = with_detector(bundle, tmp_path / "b", raw).ood_detector


class Seeing:
    """A policy that remembers what it was given, and goes nowhere."""

    n_obs_steps, horizon, action_dim, n_experts = 2, 4, 7, 1
    noise_shape = density = expert = None

    def __init__(self):
        self.windows: list[np.ndarray] = []

    def infer(self, window, noise=None):
        self.windows.append(window)
        return PolicyOutput(np.zeros(1), np.tile(window[-1, :7], (1, 4, 1)))


class Robot:
    """A loop that hears joints every 5 ms and sees both cameras 30 times a second."""

    def __init__(self, bundle: Bundle):
        self.policy, self.eyes = Seeing(), bundle.open_eyes()
        rule = ActingRule(replan_ticks=1)
        self.loop = ActionLoop(SEEING, self.policy, rule, np.random.default_rng(0), lambda: 0.0)
        self.now = SECOND + 600_000 - 10 * MS  # ticks of a recording begin with its first command
        self.blind, self.shown = set(), dict.fromkeys(SEEING.cameras, 0)
        self.loop.start(self.now)

    def run(self, ticks: int):
        for _ in range(ticks):
            self.now += 10 * MS
            self._hear(self.now - 5 * MS)
            self._hear(self.now)
            result = self.loop.tick(self.now)
        return result

    def _hear(self, until: int) -> None:
        if until >= SECOND:
            stamp = until - until % (5 * MS)
            fields = {"position": position_at(stamp), "velocity": np.zeros(7)}
            self.loop.add("joint_state", fields, stamp, until)
        for name, view in SEEING.cameras.items():
            stamp = SECOND + self.shown[name] * SECOND // 30
            if stamp + 5 * MS <= until:
                self.shown[name] += 1
                if name in self.blind:
                    continue
                data = image_cdr(view, photograph(view, stamp), stamp)
                for image, features in self.eyes.see(name, decode_image(view, data)).items():
                    self.loop.add_image(image, features, stamp, until)


def test_live_a_policy_is_given_what_it_learned_from(bundle, teacher):
    """The same motion and pictures as in the recordings: bytes of the wire to the policy's window,
    against pixels of the run's folder by torch."""
    robot = Robot(bundle)
    robot.run(50)
    held_out = load_windows(teacher, held_out=True)
    wanted = acting_windows(held_out, teacher.encoder)
    known = np.array(robot.policy.windows)
    matched = 0
    for window in wanted[5:]:
        # where the arm is tells the tick
        near = np.abs(known[:, -1, :7] - window[-1, :7]).max(1)
        if near.min() < 1e-6:
            matched += 1
            np.testing.assert_allclose(known[near.argmin()][-1, 7:], window[-1, 7:], atol=2e-3)
    assert matched > 20


def test_nothing_is_planned_before_every_image_has_been_seen(bundle):
    robot = Robot(bundle)
    robot.blind = {"wrist"}
    assert robot.run(10).window is None and not robot.policy.windows
    robot.blind = set()
    assert robot.run(5).window is not None and robot.policy.windows
    assert robot.loop.reason is None


def test_a_camera_that_falls_silent_brings_the_arm_to_rest(bundle):
    robot = Robot(bundle)
    robot.run(30)
    robot.blind = {"front"}
    robot.run(30)
    assert robot.loop.reason is StopReason.OBSERVATION_STALE
    assert robot.loop.detail.startswith("image front of camera front is 0.2")
    assert robot.loop.detail.endswith("s old, at most 0.2")


def test_features_that_are_not_finite_are_not_taken(bundle):
    robot = Robot(bundle)
    robot.run(10)
    now = robot.now
    assert not robot.loop.add_image("front", np.full(6, np.nan), now, now)
    assert robot.loop.add_image("front", np.zeros(6), now, now)


def test_a_picture_of_another_size_is_told(bundle):
    with pytest.raises(UserError, match="front is made of 80x60 pixels"):
        bundle.open_eyes().see("front", np.zeros((24, 32, 3), np.uint8))


def test_a_bundle_without_an_encoder_is_refused(bundle, tmp_path):
    folder = shutil.copytree(bundle.folder, tmp_path / "b")
    raw = json.loads((folder / "bundle.json").read_text())
    raw["files"].pop("encoder_hand.onnx")
    (folder / "encoder_hand.onnx").unlink()
    raw["bundle_hash"] = bundle.manifest.model_validate(raw).hash()
    (folder / "bundle.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match="has encoder_front.onnx, its contract's images need enc"):
        Bundle.load(folder, SEEING)


def test_features_are_as_many_as_the_bundle_says(bundle):
    manifest = bundle.manifest.model_copy(update={"image_features": 5})
    with pytest.raises(UserError, match=r"'observation_dim': 21.*declares.*'observation_dim': 19"):
        dataclasses.replace(bundle, manifest=manifest).open_policy()
    manifest = bundle.manifest.model_copy(update={"image_features": None})
    with pytest.raises(UserError, match="its contract's images need"):
        require_encoders(manifest, bundle.contract, bundle.folder)


def test_the_encoder_of_another_image_is_refused(bundle, tmp_path):
    folder = shutil.copytree(bundle.folder, tmp_path / "b")
    shutil.copy(folder / "encoder_front.onnx", folder / "encoder_hand.onnx")
    with pytest.raises(UserError, match=r"encoder_hand.onnx is damaged or edited"):
        Bundle.load(folder, SEEING)
    spoilt = Bundle(folder, bundle.manifest, bundle.contract, bundle.rule)
    with pytest.raises(UserError, match=r"encoder_hand.onnx has .*20, 24, 3.* are needed: export"):
        spoilt.open_eyes()


def test_verification_opens_the_encoders(bundle, tmp_path):
    assert verified(bundle.folder, SEEING).checks[-1].name == "parity"
    folder = shutil.copytree(bundle.folder, tmp_path / "b")
    shutil.copy(folder / "encoder_front.onnx", folder / "encoder_hand.onnx")
    reseal(folder)
    with pytest.raises(Failed, match=r"encoder_hand.onnx has ") as failed:
        verified(folder, SEEING)
    assert failed.value.check == "graph"
