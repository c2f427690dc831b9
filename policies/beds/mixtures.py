"""Distilling the exact teacher of a test bed into a mixture of experts."""

from __future__ import annotations

import torch

from vdd_ros.policies.beds.bed import Bed
from vdd_ros.policies.denoiser import ScoreModel
from vdd_ros.policies.moe import GaussianMoE, StudentConfig, k_means
from vdd_ros.policies.objectives import Batch, Objective, Paired, fit
from vdd_ros.policies.training import QUIET, Report, TrainingConfig

K_MEANS = 8192  # samples that tell where modes are


def distilled_mixture(
    bed: Bed,
    objective: Objective,
    config: StudentConfig,
    data: Batch | Paired,
    training: TrainingConfig,
    report: Report = QUIET,
    teacher: ScoreModel | None = None,
) -> GaussianMoE:
    """A mixture whose experts began at k-means of the teacher's samples, or of demonstrations where
    it reads no samples; teacher: asked in the exact one's place, as one that counts."""
    torch.manual_seed(training.seed)
    student = GaussianMoE(config, newest_dim=1, cond_dim=1, dim=bed.dim)
    seen = data.samples if objective.needs_samples else data.demos
    student.start_at(k_means(seen[:K_MEANS], config.n_experts, training.seed))
    batches = Batch(data.cond, data.samples, data.demos)
    model = teacher or bed.teacher
    student.load_state_dict(fit(student, model, batches, objective, training, report=report))
    return student.eval()
