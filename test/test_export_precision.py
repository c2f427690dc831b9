"""What `vdd export --precision` puts into a bundle, and what it refuses to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from safetensors.numpy import save_file

from vdd_ros.cli import main
from vdd_ros.commands import exported
from vdd_ros.commands.export_parity import checked
from vdd_ros.commands.exported import Exported
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.certify import PARITY_BOUND
from vdd_ros.policies.export import ActingStudent, StudentDensity, student_graphs
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.parity_gate import recorded_windows
from vdd_ros.policies.stored_windows import FILE_NAME

TO, H, RANK, HELD_OUT, COUNT = 2, 3, 5, 300, 1300


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A folder with windows as a run has them; the last ones were held out."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    contract = Contract.from_yaml(Path(__file__).parents[1] / "config" / "panda_avoid.yaml")
    observations = rng.normal(size=(COUNT, TO, contract.observation_dim)).cumsum(1) * 0.1
    chunks = observations[:, -1:, : contract.action_dim] + 0.05 * rng.normal(
        size=(COUNT, H, contract.action_dim)
    )
    is_pad = np.zeros((COUNT, H), bool)
    is_pad[-1, 1:] = True
    tensors = {
        "observations": observations.astype(np.float32),
        "chunks": chunks.astype(np.float32),
        "is_pad": is_pad,
        "episode": np.arange(COUNT) // 100,
        "is_held_out": np.arange(COUNT) >= COUNT - HELD_OUT,
    }
    save_file(tensors, folder / FILE_NAME)
    (folder / "run.json").write_text(json.dumps({"kind": "student"}))
    return folder


@pytest.fixture(scope="module")
def policy(run) -> Exported:
    kept = recorded_windows(run, COUNT)
    contract = Contract.from_yaml(Path(__file__).parents[1] / "config" / "panda_avoid.yaml")
    chunks = np.nan_to_num(kept.chunks.astype(np.float64))
    normalizer = Normalizer.fit(kept.observations, chunks, RANK, np.random.default_rng(0))
    torch.manual_seed(0)
    student = GaussianMoE(StudentConfig(n_experts=3, width=32, blocks=1), *normalizer.sizes).eval()
    torch.nn.init.normal_(student.gating.weight, std=2.0)
    policy_onnx, density_onnx = student_graphs(student, normalizer, (TO, contract.observation_dim))
    return Exported(
        kind="mixture",
        method="vdd",
        nfe=1,
        is_stochastic=False,
        contract=contract,
        normalizer=normalizer,
        n_experts=3,
        acting=ActingStudent(student, normalizer),
        density=StudentDensity(student, normalizer),
        policy_onnx=policy_onnx,
        density_onnx=density_onnx,
        windows=kept.observations[:HELD_OUT],
        recorded_in=run,
        start=None,
        ood_detector=OodDetector(None, 1, None),  # type: ignore[arg-type]
        expert_onnx=b"the graph of one expert, in fp32",
    )


def strict(policy: Exported, **limits: float) -> Exported:
    raw = policy.contract.to_dict() | {"parity": limits}
    return policy._replace(contract=Contract.from_dict(raw))


def test_windows_that_were_held_out_come_first(run):
    kept = recorded_windows(run, 1000)
    assert len(kept.observations) == 1000
    some = recorded_windows(run, HELD_OUT)
    np.testing.assert_array_equal(kept.observations[:HELD_OUT], some.observations)
    assert np.isnan(some.chunks[-1, 1:]).all() and np.isfinite(some.chunks[-1, 0]).all()
    assert len(recorded_windows(run, 5000).observations) == COUNT


def test_half_precision_passes_with_its_figures(policy, tmp_path):
    (tmp_path / "report").write_text("of an earlier export")
    found = checked(policy, "fp16", 0, tmp_path / "report")
    figures = found.parity["fp16"]
    assert figures["windows"] == 1000 and figures["nll_windows"] == 999
    assert 0.0 < figures["largest_joint_error"] < policy.contract.parity.joint_error
    assert figures["expert_agreement"] > 0.99 and abs(figures["nll_difference"]) < 0.02
    assert found.parity["fp32"]["largest_mean_error"] < 1e-4
    assert found.expert_onnx == policy.expert_onnx  # which processors evaluate, in fp32
    assert len(found.recorded.observations) == 1000
    assert not (tmp_path / "report").exists()
    for graph, before in ((found.policy_onnx, policy.policy_onnx), (found.density_onnx, b"")):
        kinds = {one.data_type for one in onnx.load_model_from_string(graph).graph.initializer}
        assert TensorProto.FLOAT16 in kinds and graph != before


def test_a_bundle_of_half_precision_is_compared_with_the_network_by_a_wider_bound(policy, tmp_path):
    usual = checked(policy, "fp32", 0, tmp_path / "report").reference.bound
    found = checked(policy, "fp16", 0, tmp_path / "report")
    assert usual.means == PARITY_BOUND
    assert found.reference.bound.means > usual.means
    assert found.reference.bound.means == pytest.approx(
        2 * found.parity["fp16"]["largest_mean_error"] + PARITY_BOUND
    )


def test_what_fails_keeps_its_report(policy, tmp_path):
    with pytest.raises(UserError, match="differ from the network: joint error .* no bundle"):
        checked(strict(policy, joint_error=1e-6), "fp16", 0, tmp_path / "a" / "report")
    report = json.loads((tmp_path / "a" / "report").read_text())
    assert report["faults"][0].startswith("joint error") and report["windows"] == 1000
    assert report["limits"]["joint_error"] == 1e-6


def test_too_few_windows_are_refused_but_in_fp32(policy, tmp_path):
    hungry = strict(policy, windows=5000)
    with pytest.raises(UserError, match="1300 recorded windows, at least 5000 are needed"):
        checked(hungry, "fp16", 0, tmp_path / "report")
    assert checked(hungry, "fp32", 0, tmp_path / "report").parity["fp32"]["windows"] == COUNT


def test_an_overflow_in_half_precision_is_refused(policy, tmp_path):
    """Numbers beyond 65504 are infinite in float16, and no error may get lost in that."""
    model = onnx.load_model_from_string(policy.policy_onnx)
    for one in model.graph.initializer:
        if one.name == "student.trunk.blocks.0.wide.bias":
            values = np.full(one.dims, 1e6, np.float32)
            one.CopyFrom(onnx.numpy_helper.from_array(values, one.name))
    torch_too = ActingStudent(policy.acting.student, policy.normalizer)
    before = torch_too.student.trunk.blocks[0].wide.bias.detach().clone()
    try:
        torch.nn.init.constant_(torch_too.student.trunk.blocks[0].wide.bias, 1e6)
        spoilt = policy._replace(acting=torch_too, policy_onnx=model.SerializeToString())
        with pytest.raises(UserError, match="joint error (nan|inf)"):
            checked(spoilt, "fp16", 0, tmp_path / "report")
    finally:
        torch_too.student.trunk.blocks[0].wide.bias.data.copy_(before)
    assert json.loads((tmp_path / "report").read_text())["largest_joint_error"] in ("nan", "inf")


def test_the_command_ends_with_2_and_writes_no_bundle(policy, run, tmp_path, monkeypatch, capsys):
    refusing = strict(policy, joint_error=1e-6)
    monkeypatch.setattr(exported, "exported_student", lambda args: refusing)
    out = tmp_path / "bundle"
    arguments = ["export", "--run", str(run), "--out", str(out), "--precision", "int8"]
    assert main(arguments) == 2
    assert "the report is in" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["bundle.parity.json"]


def test_a_bundle_has_to_be_named(run, capsys):
    assert main(["export", "--run", str(run)]) == 2
    assert "name the bundle to write: --out BUNDLE" in capsys.readouterr().err
