"""The gate of every export: graphs that differ from the network by more than the robot allows are
not deployed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vdd_ros.contract import Contract
from vdd_ros.density import MixtureParameters
from vdd_ros.errors import UserError
from vdd_ros.eyes import PIXELS, Eyes
from vdd_ros.inference import OnnxDensity, OnnxPolicy
from vdd_ros.parity import Recorded, Units, Variant, compare, faults
from vdd_ros.parity import report as report_of
from vdd_ros.parity_limits import ParityLimits
from vdd_ros.policies.encoder import Encoder, encoded_once
from vdd_ros.policies.export import acting_windows
from vdd_ros.policies.forms import Eager, opened
from vdd_ros.policies.pictures import Pictures
from vdd_ros.policies.precision import as_measured
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.sealed_folder import to_json

CALIBRATION_WINDOWS, CALIBRATION_PICTURES = 500, 100
Inputs = dict[str, np.ndarray]


def recorded_windows(
    teacher: Path, count: int, encoder: Encoder | None = None, candidate: Eyes | None = None
) -> Recorded:
    """So many windows of a teacher's run, those held out first; all where there are fewer. encoder:
    of the images that they see; candidate: its graphs in another precision."""
    held_out, trained_on = (open_windows(teacher, one) for one in (True, False))
    parts = [held_out.at_most(count)]
    if len(held_out) < count:
        parts.append(trained_on.at_most(count - len(held_out)))
    observations = np.concatenate([acting_windows(part, encoder) for part in parts])
    seen = None
    if encoder is not None and candidate is not None:
        measured = MeasuredEncoder(candidate, encoder)
        seen = np.concatenate([acting_windows(part, measured) for part in parts])
        seen = seen.astype(np.float32)
    chunks = np.concatenate(
        [np.where(part.is_pad[..., None], np.nan, part.chunks) for part in parts]
    )
    return Recorded(observations.astype(np.float32), chunks.astype(np.float32), seen)


class MeasuredEncoder:
    """What graphs of an encoder make of pictures, in onnxruntime, in its place."""

    def __init__(self, eyes: Eyes, encoder: Encoder):
        self._eyes, self._encoder = eyes, encoder

    def of(self, pictures: Pictures) -> Tensor:
        """As `Encoder.of`."""
        return encoded_once(pictures, self._encoder.rates_hz, self._encode)

    def _encode(self, image: int, pixels: Tensor) -> Tensor:
        name = self._eyes.contract.images[image].name
        rows = [self._eyes.encoded(name, one) for one in pixels.numpy()]
        return torch.from_numpy(np.stack(rows))


def calibration_pictures(teacher: Path, contract: Contract) -> dict[str, list[Inputs]]:
    """By image, inputs of its encoder's graph: pictures that the teacher was trained on."""
    pictures = open_windows(teacher, held_out=False).at_most(CALIBRATION_PICTURES).pictures
    if pictures is None:
        return {}
    return {
        image.name: [{PIXELS: pixels} for pixels in pictures.pixels(index)]
        for index, image in enumerate(contract.images)
    }


def calibration_inputs(
    teacher: Path,
    noise_shape: tuple[int, ...] | None,
    seed: int,
    encoder: Encoder | None,
) -> list[Inputs]:
    """Inputs of a policy's graph at windows that the teacher was trained on."""
    rng = np.random.default_rng(seed)
    inputs = []
    windows = open_windows(teacher, held_out=False).at_most(CALIBRATION_WINDOWS)
    for window in acting_windows(windows, encoder):
        one = {"window": window.astype(np.float32)}
        if noise_shape is not None:
            one["noise"] = rng.standard_normal(noise_shape).astype(np.float32)
        inputs.append(one)
    return inputs


def torch_variant(
    acting: nn.Module, density: nn.Module | None, noise_shape: tuple[int, ...] | None
) -> Variant:
    """The network itself, which graphs are compared with."""
    infer = Eager(acting).infer
    if density is None:
        return Variant(infer, None, noise_shape)
    mixture = Eager(density)
    return Variant(infer, lambda window: MixtureParameters(*mixture.outputs(window)), noise_shape)


def gate(
    reference: Variant,
    policy_onnx: bytes,
    density_onnx: bytes | None,
    recorded: Recorded,
    units: Units,
    limits: ParityLimits,
    seed: int,
    report: Path,
    distance: bool = True,
) -> dict:
    """The figures of graphs, in onnxruntime, see `compare`. Raises UserError where they are beyond
    the limits, and leaves them in `report`."""
    candidate = _onnx_variant(policy_onnx, density_onnx)
    figures = compare(reference, candidate, recorded, units, seed, distance)
    wrong = faults(figures, limits)
    if wrong:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_bytes(to_json(report_of(figures, limits)))
        raise UserError(
            f"the exported graphs differ from the network: {'; '.join(wrong)}: no bundle was "
            f"written, and the report is in {report}; export with a higher precision, or change "
            "parity in the contract"
        )
    report.unlink(missing_ok=True)
    return figures


def _onnx_variant(policy_onnx: bytes, density_onnx: bytes | None) -> Variant:
    policy = opened(OnnxPolicy, as_measured(policy_onnx))
    if density_onnx is None:
        return Variant(policy.infer, None, policy.noise_shape)
    density = opened(OnnxDensity, as_measured(density_onnx))
    return Variant(policy.infer, density.parameters, policy.noise_shape)
