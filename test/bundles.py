"""Small bundles with all that a bundle can have, of an untrained student's own graphs."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.certificate import Certificate
from vdd_ros.certificate_parts import Alarm, Fidelity, Latency, Provenance, Rollouts
from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.mahalanobis import Clusters
from vdd_ros.normalizer import Normalizer
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.certify import reference_of
from vdd_ros.policies.export import ActingStudent, student_graphs
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.reference import Reference
from vdd_ros.start_range import StartRange

HOME = np.array([0.0, 0.3, 0.1, -1.5, 0.2, 1.5, -0.1])
# of `student_bundle`
FILES = (
    "policy.onnx", "density.onnx", "contract.json", "normalizer.json", "start.json",
    "ood_detector.json", "reference.json", "certificate.json", "certificate.md",
)  # fmt: skip
RUN, TEACHER, DATA, CODE, ROBOT = ("1" * 64, "2" * 64, "3" * 64, "4" * 64, "6" * 64)


class Graphs(NamedTuple):
    policy: bytes
    density: bytes
    normalizer: dict
    reference: Reference


@cache
def untrained(seed: int) -> Graphs:
    """Of a student that stays near HOME where it is near HOME."""
    rng = np.random.default_rng(seed)
    windows = HOME + 0.1 * rng.normal(size=(200, 2, 7)).cumsum(1)
    chunks = HOME + 0.05 * rng.normal(size=(200, 8, 7))
    torch.manual_seed(seed)
    normalizer = Normalizer.fit(windows, chunks, 8, rng, degree=0)
    config = StudentConfig(n_experts=4, width=32, blocks=1, bottleneck=8)
    moe = GaussianMoE(config, *normalizer.sizes).eval()
    policy, density = student_graphs(moe, normalizer, (2, 7))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "policy.onnx"
        path.write_bytes(policy)
        reference = reference_of(path, ActingStudent(moe, normalizer).eval(), windows, seed)
    return Graphs(policy, density, normalizer.to_dict(), reference)


def student_bundle(folder: Path, contract: Contract, seed: int = 0, **changes) -> Bundle:
    """A bundle with all that one can have."""
    student = untrained(seed)
    clusters = Clusters(np.tile(HOME, 2)[None], 0.1 * np.eye(14)[None])
    parts = {
        "name": "vdd", "kind": "mixture", "contract": contract, "rule": STUDENT_RULE,
        "n_obs_steps": 2, "horizon": 8, "n_experts": 4, "policy_onnx": student.policy,
        "normalizer": student.normalizer, "certificate": certificate(contract).to_dict(),
        "density_onnx": student.density, "start": StartRange(HOME - 0.1, HOME + 0.1),
        "ood_detector": OodDetector(clusters, 50, Threshold(5.0, 0.05, 19, 19)),
        "reference": student.reference, "method": "vdd", "nfe": 1, "is_stochastic": False,
    }  # fmt: skip
    return write_bundle(folder, **{**parts, **changes})


def certificate(contract: Contract, **changes) -> Certificate:
    """Of an export: parity and a threshold of the monitor alone are known."""
    origin = Provenance(
        run_hash=RUN, teacher_hash=TEACHER, dataset_hash=DATA, episodes=100, held_out=20,
        contract_hash=contract.contract_hash, calibration_hashes=None, version="0.1.0",
        code_hash=CODE,
    )  # fmt: skip
    found = Certificate(
        run="vdd", acting_rule="draw", provenance=origin,
        parity={"fp32": {"ok": True, "windows": 200, "largest_mean_error": 2e-6}},
        monitor={"distance": Alarm(value=5.0, false_alarm_rate=0.05, episodes=19, scenes=19)},
    )  # fmt: skip
    return found.model_copy(update=changes)


def rollouts(
    success: float = 0.97, delay_s: float = 0.0, low: float = 0.93, contract_hash: str = ROBOT
) -> Rollouts:
    return Rollouts(
        policy="vdd", task="avoid", contract_hash=contract_hash, episodes=200, success=success,
        success_interval=(low, 0.99),
        entropy=0.7, modes=18, modes_declared=24, acting_rule="draw",
        observation_delay_s=delay_s, command_delay_s=delay_s, code_hash=CODE,
    )  # fmt: skip


def complete(contract: Contract) -> Certificate:
    """One in which everything was measured."""
    origin, robot = certificate(contract).provenance, contract.contract_hash
    return certificate(
        contract,
        provenance=origin.model_copy(update={"calibration_hashes": ("5" * 64,)}),
        fidelity=Fidelity(
            nfe=1, nll=-1.5, nll_interval=(-1.6, -1.4), energy_distance=0.02, energy_floor=0.01,
            off_support=0.02, n_experts=4, dead_experts=0,
        ),
        success=rollouts(contract_hash=robot),
        teacher_success=rollouts(0.98, contract_hash=robot),
        simulation=rollouts(delay_s=0.01, contract_hash=robot),
        latency=Latency(
            device="a robot's own computer", runtime="onnxruntime", p50_us=40.0, p99_us=90.0,
            p999_us=150.0, calls=5000, rate_hz=100.0, ticks=500, missed=0,
        ),
    )  # fmt: skip
