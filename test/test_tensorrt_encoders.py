"""Encoders of images in TensorRT, with a processor in the place of the GPU: built, kept, opened."""

from __future__ import annotations

import sys
from pathlib import Path

import exported_graphs
import gpu_stand_in
import numpy as np
import pytest
import torch
import yaml
from recordings import SECOND
from seeing import photograph, seeing

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.camera_eye import CameraEye
from vdd_ros.cdr import image_cdr
from vdd_ros.cli import main
from vdd_ros.device_results import RESULT
from vdd_ros.errors import UserError
from vdd_ros.nodes.action_parameters import ActionParameters
from vdd_ros.nodes.action_setup import Ready, prepared
from vdd_ros.normalizer import Normalizer
from vdd_ros.parity import Recorded
from vdd_ros.policies.export import encoder_graphs, student_graphs
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.signature import make_keys
from vdd_ros.tensorrt_graph import TensorRTGraph
from vdd_ros.tensorrt_policy import encoders_of, open_engine_eyes, open_engines

SEEING = seeing()
TO, H, RANK = 2, 3, 5


@pytest.fixture
def driver(monkeypatch) -> gpu_stand_in.Driver:
    """This computer has an Orin for the length of a test."""
    return gpu_stand_in.installed(monkeypatch)


@pytest.fixture(scope="module")
def parts() -> dict:
    """A small student that is told what a small encoder sees; both have learned nothing."""
    eyes = exported_graphs.encoder("small")
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(60, TO, SEEING.observation_dim)).cumsum(1) * 0.1
    chunks = joints[:, -1:, : SEEING.action_dim] + rng.normal(size=(60, H, 7)) * 0.05
    normalizer = Normalizer.fit(joints, chunks, RANK, rng)
    torch.manual_seed(0)
    config = StudentConfig(n_experts=3, width=16, blocks=1)
    student = GaussianMoE(config, *eyes.sizes(normalizer)).eval()
    rows = np.zeros((60, TO, eyes.count * eyes.image_dim))
    rows[:, -1] = rng.normal(size=(60, rows.shape[2]))
    windows = np.concatenate([joints, rows], axis=2)
    policy, density = student_graphs(student, normalizer, windows.shape[1:])
    return {
        "name": "seeing",
        "kind": "mixture",
        "rule": ActingRule(output="sample", draws=4),
        "n_obs_steps": TO,
        "horizon": H,
        "n_experts": 3,
        "contract": SEEING,
        "policy_onnx": policy,
        "density_onnx": density,
        "normalizer": normalizer.to_dict(),
        "certificate": {"parity": None},
        "recorded": Recorded(windows.astype(np.float32), chunks.astype(np.float32)),
        "encoders": encoder_graphs(eyes, SEEING),
        "image_features": eyes.config.features,
    }


@pytest.fixture
def bundle(parts, tmp_path) -> Bundle:
    return write_bundle(tmp_path / "bundle", **parts)


def built(bundle: Bundle, results: Path, *more: object) -> int:
    words = ["export", "--run", bundle.folder, "--tensorrt", "--results", results, "--json", *more]
    return main([str(word) for word in words])


def settings(bundle: Bundle, folder: Path, **more: str) -> ActionParameters:
    (folder / "contract.yaml").write_text(yaml.safe_dump(SEEING.to_dict()))
    return ActionParameters(
        contract=str(folder / "contract.yaml"),
        bundle=str(bundle.folder),
        runtime="tensorrt",
        device_results=str(folder / "results"),
        **more,
    )


def graphs_of(ready: Ready) -> list[object]:
    return [type(one) for one in ready.eyes._graphs.values()]


def test_there_is_an_engine_for_each_encoder_which_gives_what_its_graph_gives(
    driver, bundle, tmp_path, capsys
):
    assert built(bundle, tmp_path / "results") == 0
    said = capsys.readouterr().out
    for name in encoders_of(bundle):
        assert f"engine of {name}" in said
    assert "and its encoders by 0 in a feature" in said
    found, known = open_engine_eyes(bundle, tmp_path / "results"), bundle.open_eyes()
    for name, camera in SEEING.cameras.items():
        for time_ns in (SECOND, 2 * SECOND):
            pixels = photograph(camera, time_ns)
            made, expected = found.see(name, pixels), known.see(name, pixels)
            assert made.keys() == expected.keys()
            for image, features in expected.items():
                np.testing.assert_array_equal(made[image], features)


def test_pixels_go_up_as_bytes_and_a_call_is_one_launch(driver, bundle, tmp_path):
    assert built(bundle, tmp_path / "results") == 0
    eyes = open_engine_eyes(bundle, tmp_path / "results")
    graph = eyes._graphs["front"]
    assert isinstance(graph, TensorRTGraph) and graph.inputs["pixels"].dtype == np.uint8
    driver.calls.clear()
    eyes.encoded("front", np.zeros(SEEING.images[0].shape, np.uint8))
    assert driver.calls == ["cuGraphLaunch", "cuStreamSynchronize"]


def test_the_node_sees_by_engines_where_its_policy_runs_in_them(driver, bundle, tmp_path):
    with pytest.raises(UserError, match="no engine in .* build it here"):
        prepared(settings(bundle, tmp_path))
    assert built(bundle, tmp_path / "results") == 0
    ready = prepared(settings(bundle, tmp_path))
    assert graphs_of(ready) == [TensorRTGraph] * len(SEEING.images)
    assert set(ready.see_s) == set(SEEING.cameras)
    camera = SEEING.cameras["front"]
    data = image_cdr(camera, photograph(camera, SECOND), SECOND)
    sight = CameraEye(SEEING, "front", ready.eyes).see(data, SECOND)
    assert sight.fault is None and sight.features["front"].shape == (6,)


def test_an_encoder_without_an_engine_is_told_and_nothing_runs(driver, bundle, tmp_path):
    assert built(bundle, tmp_path / "results") == 0
    (kept,) = (
        path.parent
        for path in (tmp_path / "results").rglob(RESULT)
        if "encoder_hand.onnx" in path.read_text()
    )
    for path in kept.iterdir():
        path.unlink()
    kept.rmdir()
    assert open_engines(bundle, tmp_path / "results").n_experts == 3
    with pytest.raises(UserError, match="no engine in .* which differs in onnx"):
        prepared(settings(bundle, tmp_path))


def test_an_encoder_s_engine_that_was_changed_is_never_loaded(
    driver, bundle, tmp_path, monkeypatch
):
    assert built(bundle, tmp_path / "results") == 0

    def deserialize(self, serialized_engine):
        raise AssertionError("an engine was loaded")

    monkeypatch.setattr(sys.modules["tensorrt"].Runtime, "deserialize_cuda_engine", deserialize)
    for plan in (tmp_path / "results").rglob("engine.plan"):
        plan.write_bytes(plan.read_bytes() + b"\0")
    with pytest.raises(UserError, match="engine.plan is damaged or edited"):
        open_engine_eyes(bundle, tmp_path / "results")


def test_a_robot_that_trusts_a_key_sees_by_no_engine_without_it(driver, parts, tmp_path):
    key = tmp_path / "key"
    make_keys(key, tmp_path / "key.pub")
    bundle = write_bundle(tmp_path / "bundle", **parts, key=key)
    trusting = settings(bundle, tmp_path, trusted_keys=f"{key}.pub")
    assert built(bundle, tmp_path / "results", "--key", key) == 0
    assert graphs_of(prepared(trusting)) == [TensorRTGraph] * 2
    for path in (tmp_path / "results").rglob(RESULT):
        if "encoder_front.onnx" in path.read_text():
            signed = path.parent
    for path in signed.iterdir():
        path.unlink()
    signed.rmdir()
    assert built(bundle, tmp_path / "unsigned") == 0
    for path in (tmp_path / "unsigned").rglob(signed.name):
        path.rename(signed)
    with pytest.raises(UserError, match="is not signed"):
        prepared(trusting)


def test_engines_of_encoders_that_disagree_are_not_kept(
    driver, bundle, tmp_path, monkeypatch, capsys
):
    """TensorRT computes the last layer of one with other weights."""
    gpu_stand_in.spoil(monkeypatch, "net.norm.weight", 1.01)
    assert built(bundle, tmp_path / "results") == 2
    assert "the engines of encoders differ from" in capsys.readouterr().err
    assert not list((tmp_path / "results").rglob("engine.plan"))
