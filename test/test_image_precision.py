"""Policies that see images in half precision and in integers: encoders and policy pass one gate."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from seeing import seeing, seen_episodes

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.contract import Contract
from vdd_ros.policies.distil import distil
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.export import acting_windows
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.parity_gate import recorded_windows
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig

LIMITS = {"windows": 20, "joint_error": 0.05, "disagreement": 0.2, "nll": 5.0,
          "energy_distance": 5.0}  # fmt: skip
ENCODER = EncoderConfig(channels=4, stages=2, keypoints=4, features=6, draws=2)
TEACHER = TeacherConfig(n_obs_steps=2, horizon=4, rank=5, width=32, blocks=1)
TRAINING = TrainingConfig(steps=6, batch_size=8, bf16=False, warmup_steps=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A teacher and a student, whose contract allows for much."""
    folder = tmp_path_factory.mktemp("precise")
    contract = Contract.from_dict(seeing().to_dict() | {"parity": LIMITS})
    shown = seen_episodes(contract, folder / "episodes", 0.6, 0.5, 0.5)
    teacher = train_teacher(
        contract, shown, folder / "teacher", TEACHER, TRAINING, 1, encoder=ENCODER
    )
    config = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
    parts = (teacher, folder / "student", "vdd", config, TRAINING)
    return teacher, distil(*parts, pool=PoolConfig(size=60), sampler=SamplerConfig("euler", 2))


def export(runs, out, *more: object) -> int:
    teacher, student = runs
    words = ["export", "--run", student.folder, "--teacher", teacher.folder, "--out", out, *more]
    return cli.main([str(word) for word in words])


@pytest.mark.parametrize(
    ("precision", "narrow"), [("fp16", TensorProto.FLOAT16), ("int8", TensorProto.INT8)]
)
def test_a_bundle_has_its_encoders_in_its_precision_and_tells_by_how_much_they_differ(
    runs, tmp_path, precision, narrow
):
    assert export(runs, tmp_path / "b", "--precision", precision) == 0
    bundle = Bundle.load(tmp_path / "b")
    assert bundle.precision == precision
    for image in bundle.contract.images:
        graph = onnx.load(bundle.folder / f"encoder_{image.name}.onnx")
        assert any(one.data_type == narrow for one in graph.graph.initializer)
    told = json.loads((bundle.folder / "certificate.json").read_text())["parity"]
    exact, found = told["fp32"], told[precision]
    assert exact["largest_feature_error"] < 1e-4 < found["largest_feature_error"]
    assert found["pictures"] == exact["pictures"] > 2 * 16
    eyes = bundle.open_eyes()
    held_out = open_windows(runs[0].folder, held_out=True).at_most(LIMITS["windows"])
    # what engines are compared on is what a robot's encoders make of pictures, not torch's
    usual = acting_windows(held_out, runs[1].encoder)
    kept = bundle.recorded.observations
    pixels = held_out.pictures.pixels(0)
    for row in (0, len(usual) - 1):
        features = eyes.encoded("front", pixels[row])
        np.testing.assert_allclose(kept[row, -1, 7:13], features, atol=2e-3)
    assert np.abs(kept - usual).max() > 0.0


def test_an_encoder_s_rounding_counts_in_the_gate(runs, tmp_path, capsys):
    """The graphs of the policy alone would pass: what moves its plans is what it is shown."""
    teacher, student = runs
    recorded = recorded_windows(teacher.folder, 20, student.encoder)
    assert recorded.seen is None and recorded.given is recorded.observations
    raw = json.loads((student.folder / "run.json").read_text())
    raw["contract"]["parity"] = LIMITS | {"joint_error": 1e-7}
    strict = tmp_path / "strict"
    strict.mkdir()
    for path in student.folder.iterdir():
        if path.is_file():
            (strict / path.name).write_bytes(path.read_bytes())
    (strict / "run.json").write_text(json.dumps(raw))
    words = ["export", "--run", strict, "--teacher", teacher.folder, "--out", tmp_path / "b",
             "--precision", "int8"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 2
    assert "the exported graphs differ from the network: joint error" in capsys.readouterr().err
    assert not (tmp_path / "b").exists() and (tmp_path / "b.parity.json").exists()
