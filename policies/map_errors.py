"""How far a student's chunks are from where the teacher's ODE leads from the same noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vdd_ros.contract_parts import Kinematics as Model
from vdd_ros.kinematics import Kinematics
from vdd_ros.policies.runs import FewStepStudent, Teacher, load_windows, to_tensors
from vdd_ros.policies.spaces import Decoded, with_kinematics
from vdd_ros.policies.teacher import SamplerConfig, follow
from vdd_ros.policies.tool_poses import ForwardKinematics, rotation_vector

CHUNKS, SAMPLER, SEED = 1024, SamplerConfig("heun", 18), 12_345


class MapErrors:
    """Held-out observations, noise for each, and the chunks that a teacher makes of them."""

    def __init__(self, teacher: Teacher, model: Model):
        unseen = load_windows(teacher, held_out=True)
        held_out = to_tensors(teacher.normalizer, unseen, teacher.encoder)
        generator = torch.Generator().manual_seed(SEED)
        index = torch.randint(len(held_out.cond), (CHUNKS,), generator=generator)
        self.cond = held_out.cond[index]
        self.noise = torch.randn(CHUNKS, teacher.normalizer.sizes[-1], generator=generator)
        levels, denoise = teacher.config.sampling_noise, teacher.denoiser.denoise
        starts = levels.sigma_max * self.noise
        self.ends = follow(denoise, starts, self.cond, levels, SAMPLER)
        self.decoded = Decoded(teacher.normalizer, teacher.contract)
        kinematics = Kinematics(with_kinematics(teacher.contract, model))
        self.forward_kinematics = ForwardKinematics(kinematics, teacher.contract.n_joints)
        self.chain = kinematics.chain

    @torch.no_grad()
    def of(self, student: FewStepStudent) -> dict[str, float]:
        """tool_mm, tool_deg: mean over chunks and their steps; joints_rms: of those that move the
        tool [rad, m]; prmse: in the network's units."""
        starts = student.objective.sigma_max * self.noise
        found = student.objective.sample(student.net, starts, self.cond)
        one, other = self._joints(found), self._joints(self.ends)
        here, there = self.forward_kinematics(one), self.forward_kinematics(other)
        turns = rotation_vector(there.rotations.mT @ here.rotations).norm(dim=-1)
        away = (here.positions - there.positions).norm(dim=-1)
        return {
            "tool_mm": 1e3 * float(away.mean()),
            "tool_deg": math.degrees(float(turns.mean())),
            "joints_rms": _rms((one - other)[..., self.chain]),
            "prmse": _rms(found - self.ends),
        }

    def _joints(self, chunks: Tensor) -> Tensor:
        return self.decoded(chunks.double(), self.cond.double())


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
