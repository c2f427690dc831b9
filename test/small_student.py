"""A small untrained student whose gating depends on where the arm is, as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.contract import Contract
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.expert_graph import expert_graph
from vdd_ros.policies.export import student_graphs
from vdd_ros.policies.moe import GaussianMoE, StudentConfig

HOME = np.array([0.0, 0.3, 0.1, -1.5, 0.2, 1.5, -0.1])


class Parts(NamedTuple):
    policy: bytes
    density: bytes
    expert: bytes | None
    normalizer: Normalizer


def student_parts(seed: int = 0, width: int = 32) -> Parts:
    """Near HOME it stays near HOME."""
    rng = np.random.default_rng(0)
    windows = HOME + 0.1 * rng.normal(size=(200, 2, 7)).cumsum(1)
    chunks = HOME + 0.05 * rng.normal(size=(200, 8, 7))
    normalizer = Normalizer.fit(windows, chunks, 8, rng, degree=1)
    torch.manual_seed(seed)
    config = StudentConfig(n_experts=4, width=width, blocks=2, bottleneck=8)
    moe = GaussianMoE(config, *normalizer.sizes).eval()
    torch.nn.init.normal_(moe.gating.weight, std=1.0)
    shape = (2, 7)
    graphs = student_graphs(moe, normalizer, shape)
    return Parts(*graphs, expert_graph(moe, normalizer, shape), normalizer)


def student_bundle(
    folder: Path, contract: Contract, parts: Parts, rule: ActingRule, **changes
) -> Bundle:
    return write_bundle(
        folder, name="vdd", kind="mixture", contract=contract, rule=rule, n_obs_steps=2, horizon=8,
        n_experts=4, policy_onnx=parts.policy, normalizer=parts.normalizer.to_dict(),
        certificate={}, density_onnx=parts.density, expert_onnx=parts.expert, **changes,
    )  # fmt: skip
