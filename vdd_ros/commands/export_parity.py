"""What an export puts into its bundle in the precision that was asked for, once it was compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.bundle_manifest import POLICY, Precision
from vdd_ros.commands.exported import Exported
from vdd_ros.inference import OnnxPolicy
from vdd_ros.parity import Recorded, units_of
from vdd_ros.policies.certify import (
    PARITY_BOUND,
    encoder_parity,
    eyes_of,
    parity,
    reference_of,
    require_exact,
)
from vdd_ros.policies.parity_gate import (
    calibration_inputs,
    calibration_pictures,
    gate,
    recorded_windows,
    torch_variant,
)
from vdd_ros.policies.precision import in_precision
from vdd_ros.reference import Differences, Reference

# in float32, of policies that make chunks of noise: there are several chunks to each window
FEWER_WINDOWS = 200
FEWER_PICTURES = 32  # of each image, through its encoder


class Checked(NamedTuple):
    """expert_onnx: in fp32 whatever the others are, as only processors evaluate it; parity: figures
    by precision; reference: what the bundle is compared with wherever it runs; recorded: what its
    engines are compared on; encoders: by image."""

    policy_onnx: bytes
    density_onnx: bytes | None
    expert_onnx: bytes | None
    parity: dict[Precision, dict]
    reference: Reference
    recorded: Recorded
    encoders: dict[str, bytes]


def checked(
    policy: Exported,
    precision: Precision,
    seed: int,
    report: Path,
    encoders: Mapping[str, bytes] | None = None,
) -> Checked:
    """Graphs in a precision. Raises UserError where those in fp32 do not compute what the network
    does, or those that are asked for differ from it by more than the contract allows; the figures
    are then in `report`. encoders: graphs of images in fp32; their rounding is in the figures of
    the policy, which is then given what they make of pictures."""
    rng = np.random.default_rng(seed)
    acting = policy.acting.eval()
    wanted = policy.contract.parity.windows
    graphs = _encoders(policy, precision, encoders or {})
    eyes = None
    if policy.encoder is not None and precision != "fp32":
        eyes = eyes_of(graphs, policy.encoder, policy.contract)
    compared = recorded_windows(policy.recorded_in, wanted, policy.encoder, eyes)
    # an engine is given what a robot's encoders make of pictures
    recorded = compared._replace(observations=compared.given, seen=None)
    some = rng.permutation(len(policy.windows))[:FEWER_WINDOWS]
    found: dict[Precision, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / POLICY
        path.write_bytes(policy.policy_onnx)
        noise_shape = OnnxPolicy(path).noise_shape
        if precision != "fp32":
            found["fp32"] = parity(path, acting, policy.windows[some], seed)
        elif noise_shape is not None:
            compared = compared.at(rng.permutation(len(recorded.observations))[:FEWER_WINDOWS])
        policy_onnx, density_onnx = _graphs(policy, precision, noise_shape, seed)
        figures = gate(
            torch_variant(acting, policy.density, noise_shape),
            policy_onnx,
            density_onnx,
            compared,
            units_of(policy.contract, policy.normalizer),
            policy.contract.parity.of(precision),
            seed,
            report,
            distance=precision != "fp32",
        )
        if precision == "fp32":
            require_exact(figures["largest_mean_error"], figures["largest_gating_error"])
        bound = _bound(precision, figures)
        reference = reference_of(path, acting, policy.windows[some], seed, bound)
    if encoders and policy.encoder is not None and policy.pictures is not None:
        seen = policy.pictures[some[:FEWER_PICTURES]]
        told = (policy.encoder, policy.contract, seen)
        if precision != "fp32":
            found["fp32"] |= encoder_parity(encoders, *told)
        figures |= encoder_parity(graphs, *told, precision)
    found[precision] = figures
    expert_onnx = policy.expert_onnx
    return Checked(policy_onnx, density_onnx, expert_onnx, found, reference, recorded, graphs)


def _encoders(
    policy: Exported, precision: Precision, encoders: Mapping[str, bytes]
) -> dict[str, bytes]:
    """By image, in a precision."""
    if precision == "fp32" or not encoders:
        return dict(encoders)
    shown = calibration_pictures(policy.recorded_in, policy.contract)
    return {name: in_precision(graph, precision, shown[name]) for name, graph in encoders.items()}


def _graphs(
    policy: Exported, precision: Precision, noise_shape: tuple[int, ...] | None, seed: int
) -> tuple[bytes, bytes | None]:
    if precision == "fp32":
        return policy.policy_onnx, policy.density_onnx
    inputs = calibration_inputs(policy.recorded_in, noise_shape, seed, policy.encoder)
    density = policy.density_onnx
    return (
        in_precision(policy.policy_onnx, precision, inputs),
        None if density is None else in_precision(density, precision, inputs),
    )


def _bound(precision: Precision, figures: dict) -> Differences:
    """How far the bundle may be from the network on any machine: twice as far as it is on this one,
    and as much as in fp32."""
    if precision == "fp32":
        return Differences(PARITY_BOUND, PARITY_BOUND)
    return Differences(
        2 * figures["largest_mean_error"] + PARITY_BOUND,
        2 * figures["largest_gating_error"] + PARITY_BOUND,
    )
