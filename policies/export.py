"""Export: a run becomes a bundle's ONNX graphs, normalisation included, contract units outside.

policy.onnx    window (To, Do) [, noise (K, R)] -> log_gating (K,), means (K, H, Da)
density.onnx   window (To, Do) -> log_gating (K,), means (K, D), whitener (D, D),
               factors (K, D, E), whitened_factors (K, D, E)

encoder_<image>.onnx    pixels uint8 (height, width, 3) -> features (F,)

Of a policy that sees images, the newest row of a window ends with the features of each image and
its age in periods of its camera; the other rows end with zeros, which nobody reads.

D = H * Da; noise is for a teacher alone, R the rank of the normalizer; E is R, and more by a
low-rank covariance's rank.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vdd_ros.contract import Contract
from vdd_ros.density import MixtureParameters
from vdd_ros.eyes import FEATURES, PIXELS
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.augment import middle
from vdd_ros.policies.covariance import Covariance, Full
from vdd_ros.policies.denoiser import Denoiser
from vdd_ros.policies.encoder import Encoder
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.pictures import Pictures
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.windows import Windows


class Units(nn.Module):
    """What a graph needs of a Normalizer, as constants in float32."""

    CONSTANTS = (
        "newest_mean", "newest_std", "difference_std", "reference", "chunk_mean", "decoder",
    )  # fmt: skip

    def __init__(self, normalizer: Normalizer):
        super().__init__()
        for name in self.CONSTANTS:
            value = torch.tensor(getattr(normalizer, name), dtype=torch.float32)
            self.register_buffer(name, value)

    def features(self, window: Tensor) -> Tensor:
        """(To, Do) -> (1, To*Do), and what rows are longer by, of the newest one."""
        size = len(self.newest_mean)
        state, images = window[:, :size], window[-1, size:]
        newest = (state[-1] - self.newest_mean) / self.newest_std
        if not len(self.difference_std):
            return torch.cat([newest, images])[None]
        steps = (state[1:] - state[:-1]) / self.difference_std
        return torch.cat([newest, steps.flatten(), images])[None]

    def chunk(self, normalized: Tensor, cond: Tensor) -> Tensor:
        """(K, R), (1, C) -> (K, H, Da); the reference sees no images."""
        cond = cond[:, : len(self.newest_mean) * (1 + len(self.difference_std))]
        terms = [torch.ones_like(cond[:, :1]), cond]
        if len(self.reference) > 1 + cond.shape[1]:
            newest = cond[:, : len(self.newest_mean)]
            terms.append((newest[:, :, None] * newest[:, None, :]).flatten(1))
        centre = torch.cat(terms, dim=1) @ self.reference + self.chunk_mean.flatten()
        return (normalized @ self.decoder.mT + centre).view(-1, *self.chunk_mean.shape)


class ActingEncoder(nn.Module):
    """What acting needs of an encoder for one image."""

    def __init__(self, encoder: Encoder, image: int):
        super().__init__()
        self.net, self.augment = encoder.net(image), encoder.config.augment

    def forward(self, pixels: Tensor) -> Tensor:
        # a number at once: TensorRT takes bytes in, and nothing but a cast of them
        return self.net(middle(pixels.float()[None], self.augment))[0]


class ActingStudent(nn.Module):
    """What acting needs of a student: gating and means; the covariance heads are left out."""

    def __init__(self, student: GaussianMoE, normalizer: Normalizer):
        super().__init__()
        self.student, self.units = student, Units(normalizer)

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor]:
        cond = self.units.features(window)
        hidden = self.student.trunk(cond)
        log_gating = torch.log_softmax(self.student.gating(hidden), dim=-1)[0]
        means = self.student.mean(hidden).view(-1, self.student.dim)
        return log_gating, self.units.chunk(means, cond)


class StudentDensity(nn.Module):
    """The whole mixture over flattened chunks, in contract units.

    A covariance L L^T of R numbers becomes one of H * Da: the factors are decoder L, L any root of
    it, the whitener is that of what the decoder cannot say.
    """

    def __init__(self, student: GaussianMoE, normalizer: Normalizer):
        super().__init__()
        self.student, self.units = student, Units(normalizer)
        whitener = np.linalg.inv(np.linalg.cholesky(normalizer.remainder_covariance))
        # an output of the same name would make a graph with two definitions of it
        self.register_buffer("of_remainder", torch.tensor(whitener, dtype=torch.float32))
        whitened = torch.tensor(whitener @ normalizer.decoder, dtype=torch.float32)
        self.register_buffer("whitened_decoder", whitened)

    def forward(self, window: Tensor) -> tuple[Tensor, ...]:
        cond = self.units.features(window)
        mixture = self.student(cond)
        means = self.units.chunk(mixture.means[0], cond).flatten(1)
        root = _root(mixture.covariance)[0]
        factors, whitened = self.units.decoder @ root, self.whitened_decoder @ root
        return mixture.log_weights[0], means, self.of_remainder.clone(), factors, whitened


def _root(covariance: Covariance) -> Tensor:
    """Its root() by operations that ONNX has."""
    return lower_inverse(covariance.whitener) if isinstance(covariance, Full) else covariance.root()


def lower_inverse(whitener: Tensor) -> Tensor:
    """(..., D, D): the inverse of lower triangular matrices, in products alone.

    ONNX has no triangular solve. W = S (I + N) with N nilpotent, so (I + N)^-1 is the product of
    I + (-N)^(2^i) over as many i as it takes 2^i to reach D.
    """
    diagonal = whitener.diagonal(dim1=-2, dim2=-1)
    dim = whitener.shape[-1]
    eye = torch.eye(dim, dtype=whitener.dtype)
    power = eye - whitener / diagonal[..., None]
    inverse = eye + power
    for _ in range(1, max(1, (dim - 1).bit_length())):
        power = power @ power
        inverse = inverse + inverse @ power
    return inverse / diagonal[..., None, :]


class ActingTeacher(nn.Module):
    """A diffusion policy with its sampler unrolled: a mixture of samples, all equally likely."""

    def __init__(
        self, teacher: Denoiser, normalizer: Normalizer, noise: NoiseConfig, sampler: SamplerConfig
    ):
        super().__init__()
        self.teacher, self.units = teacher, Units(normalizer)
        self.sampler, self.sigmas = SAMPLERS[sampler.name], sampler.sigmas(noise)
        self.sigma_first = float(self.sigmas[0])
        if self.sampler.is_stochastic:
            raise ValueError(
                f"{sampler.name} needs noise at every step; a graph has it for its start"
            )

    def forward(self, window: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        cond = self.units.features(window)
        count = noise.shape[0]
        chunks = self.sampler(
            self.teacher.denoise, self.sigma_first * noise, self.sigmas, cond.expand(count, -1)
        )
        return torch.full((count,), -math.log(count)), self.units.chunk(chunks, cond)


def encoder_graphs(encoder: Encoder, contract: Contract) -> dict[str, bytes]:
    """encoder_<image>.onnx of each image, by its name."""
    return {
        image.name: to_onnx(
            ActingEncoder(encoder, index).eval(),
            (torch.zeros(image.shape, dtype=torch.uint8),),
            [PIXELS],
            [FEATURES],
        )
        for index, image in enumerate(contract.images)
    }


class EncodesPictures(Protocol):
    """An encoder, or what stands in its place."""

    def of(self, pictures: Pictures) -> Tensor:
        """As `Encoder.of`."""
        ...


def acting_windows(windows: Windows, encoder: EncodesPictures | None) -> np.ndarray:
    """(N, To, Do) as a graph is given them; with images their newest rows are longer by what the
    encoder makes of them."""
    if encoder is None or windows.pictures is None:
        return windows.observations
    images = encoder.of(windows.pictures).numpy()
    rows = np.zeros((*windows.observations.shape[:2], images.shape[1]))
    rows[:, -1] = images
    return np.concatenate([windows.observations, rows], axis=2)


def student_graphs(
    student: GaussianMoE, normalizer: Normalizer, window_shape: tuple[int, int]
) -> tuple[bytes, bytes]:
    """(policy.onnx, density.onnx) of a student."""
    window = torch.zeros(window_shape)
    policy = to_onnx(
        ActingStudent(student, normalizer), (window,), ["window"], ["log_gating", "means"]
    )
    density = to_onnx(
        StudentDensity(student, normalizer),
        (window,),
        ["window"],
        list(MixtureParameters._fields),
    )
    return policy, density


def teacher_graph(
    teacher: Denoiser,
    normalizer: Normalizer,
    noise: NoiseConfig,
    sampler: SamplerConfig,
    window_shape: tuple[int, int],
    candidates: int = 1,
) -> bytes:
    """policy.onnx of a teacher with its sampler unrolled, for so many samples at a time."""
    acting = ActingTeacher(teacher, normalizer, noise, sampler)
    example = (torch.zeros(window_shape), torch.zeros(candidates, normalizer.sizes[-1]))
    return to_onnx(acting, example, ["window", "noise"], ["log_gating", "means"])


def to_onnx(
    module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]
) -> bytes:
    """One self-contained ONNX file; its size is fixed by the example."""
    buffer = io.BytesIO()
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [one.level for one in quiet]
    try:
        for one in quiet:
            one.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
            program = torch.onnx.export(
                module.eval(),
                example,
                input_names=inputs,
                output_names=outputs,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        for one, level in zip(quiet, levels, strict=True):
            one.setLevel(level)
    program.save(buffer)
    return buffer.getvalue()
