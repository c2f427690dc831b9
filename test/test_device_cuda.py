"""A training on a GPU is that on the processor, to rounding; skipped where there is none."""

from __future__ import annotations

import pytest
import torch
from seeing import seeing, seen_episodes

from vdd_ros.policies.device import on_device
from vdd_ros.policies.distil import distil
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig

if not torch.cuda.is_available():
    pytest.skip("no GPU here", allow_module_level=True)

EYES = EncoderConfig(channels=4, stages=2, keypoints=4, features=6, draws=2)
TEACHER = TeacherConfig(n_obs_steps=2, horizon=4, rank=5, width=16, blocks=1)
TRAINING = TrainingConfig(steps=6, batch_size=8, bf16=False, warmup_steps=2)


@pytest.mark.parametrize("encoder", ["frozen", "trained"])
def test_teacher_and_student_are_those_of_the_processor(tmp_path, encoder):
    contract = seeing()
    episodes = seen_episodes(contract, tmp_path / "episodes", 0.5, 0.5)
    weights = {}
    for name in ("cpu", "cuda"):
        with on_device(name):
            folder = tmp_path / name
            teacher = train_teacher(
                contract, episodes, folder / "teacher", TEACHER, TRAINING, 1, encoder=EYES
            )
            config = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4)
            student = distil(
                teacher, folder / "student", "vdd", config, TRAINING, pool=PoolConfig(size=40),
                sampler=SamplerConfig("euler", 2), encoder=encoder,
            )  # fmt: skip
        weights[name] = [
            *teacher.denoiser.parameters(), *teacher.encoder.parameters(),
            *student.moe.parameters(), *student.encoder.parameters(),
        ]  # fmt: skip
    for one, other in zip(weights["cpu"], weights["cuda"], strict=True):
        assert other.device.type == "cpu"
        # rounding turns an update of Adam's where a gradient is nearly 0
        assert (one - other).abs().mean() < 2e-4
