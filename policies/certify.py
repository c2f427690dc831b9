"""The certificate of a bundle: what was measured about it, and plainly what was not."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxPolicy

FORMAT_VERSION = 1
PARITY_BOUND = 1e-4  # [contract unit]: a tenth of a milliradian, far below any encoder
NOT_MEASURED = "not measured by this export"


def parity(policy_onnx: Path, acting: nn.Module, windows: np.ndarray, seed: int) -> dict:
    """Largest difference between torch and onnxruntime over windows (N, To, Do).

    Raises UserError when the graph does not compute what the network does.
    """
    policy = OnnxPolicy(policy_onnx)
    rng = np.random.default_rng(seed)
    gating_errors, mean_errors = [], []
    for window in windows:
        noise = None if policy.noise_shape is None else rng.standard_normal(policy.noise_shape)
        inputs = [torch.tensor(x, dtype=torch.float32) for x in (window, noise) if x is not None]
        with torch.no_grad():
            log_gating, means = (part.numpy() for part in acting(*inputs))
        found = policy.infer(window, noise)
        gating_errors.append(np.abs(np.exp(found.log_gating) - np.exp(log_gating)).max())
        mean_errors.append(np.abs(found.means - means).max())
    # np.max, not max: a NaN must not get lost on the way to the comparison
    gating_error, mean_error = float(np.max(gating_errors)), float(np.max(mean_errors))
    if not (mean_error <= PARITY_BOUND and gating_error <= PARITY_BOUND):
        raise UserError(
            f"onnxruntime differs from torch by {mean_error:.2g} in the means and "
            f"{gating_error:.2g} in the gating, {PARITY_BOUND:g} is allowed: do not use this "
            "bundle, report it"
        )
    return {
        "windows": len(windows),
        "largest_mean_error": mean_error,
        "largest_gating_error": gating_error,
        "bound": PARITY_BOUND,
    }


def certificate(run: Path, rule: str, parity_result: dict, fidelity: dict | None) -> dict:
    """What a bundle says of itself; a figure that nobody measured is null with its reason."""
    return {
        "format_version": FORMAT_VERSION,
        "run": run.name,
        "acting_rule": rule,
        "parity": parity_result,
        "fidelity": fidelity,
        "simulation": None,
        "latency": None,
        "reasons": {
            name: NOT_MEASURED
            for name, value in (("fidelity", fidelity), ("simulation", None), ("latency", None))
            if value is None
        },
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
    }
