"""Every kind of graph that is exported, made once, of small untrained networks."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import onnx
import torch
from seeing import seeing

from vdd_ros.density import MixtureParameters
from vdd_ros.eyes import made_pictures
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.acting_few_step import ActingFewStep, few_step_graph
from vdd_ros.policies.encoder import Encoder, EncoderConfig
from vdd_ros.policies.expert_graph import expert_graph
from vdd_ros.policies.export import (
    ActingStudent,
    StudentDensity,
    encoder_graphs,
    student_graphs,
    teacher_graph,
    to_onnx,
)
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.objectives import FEW_STEP
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig, make_teacher
from vdd_ros.policies.teacher_graphs import Pieces, Schedule, export_pieces, looped, unrolled

TO, DO, DA, H, RANK = 2, 9, 7, 4, 6
NOISE, EULER = NoiseConfig(), SamplerConfig("euler", 2)
STUDENTS = {
    "full": StudentConfig(n_experts=3, width=16, blocks=1),
    "low-rank": StudentConfig(n_experts=3, width=16, blocks=1, covariance="low-rank", rank=4),
    "diagonal": StudentConfig(n_experts=3, width=16, blocks=1, covariance="diagonal"),
    "transformer": StudentConfig(n_experts=3, width=16, blocks=1, trunk="transformer"),
}
TEACHERS = {
    "mlp": TeacherConfig(horizon=H, width=16, blocks=1),
    "transformer": TeacherConfig(horizon=H, width=16, blocks=1, net="transformer"),
}
NAMES = (
    "student full",
    "student transformer",
    "density full",
    "density low-rank",
    "density diagonal",
    "teacher mlp",
    "teacher transformer",
    "few steps",
    "encoder small",
    "encoder whole",
    "seeing student",
    "seeing teacher",
)
UNROLLED, LOOPED = "teacher unrolled", "teacher looped"  # of vdd bench latency alone
EXPERT = "expert full"  # in fp32, whatever the precision of the others


class Made(NamedTuple):
    """inputs: of 20 windows, by name."""

    graph: bytes
    inputs: list[dict[str, np.ndarray]]


@cache
def made(name: str) -> Made:
    """The graph of that name; its networks are the same whatever was made before."""
    torch.manual_seed(0)
    kind, which = name.split(" ", 1)
    kinds = {
        "student": _student,
        "density": _density,
        "teacher": _teacher,
        "few": _few_steps,
        "expert": _expert,
        "encoder": _encoder,
        "seeing": _seeing,
    }
    graph = kinds[kind](which)
    rng = np.random.default_rng(1)
    shapes = shapes_of(graph)
    if kind == "encoder":
        return Made(graph, [{"pixels": one} for one in made_pictures(shapes["pixels"])])
    longer = shapes["window"][1] - DO  # by what encoders make of images
    inputs = []
    for window in windows()[:20]:
        features = rng.standard_normal((TO, longer)).astype(np.float32)
        one = {"window": np.concatenate([window, features], axis=1)}
        if "noise" in shapes:
            one["noise"] = rng.standard_normal(shapes["noise"]).astype(np.float32)
        inputs.append(one)
    return Made(graph, inputs)


def shapes_of(graph: bytes) -> dict[str, tuple[int, ...]]:
    """Of its inputs, by name."""
    return {
        one.name: tuple(size.dim_value for size in one.type.tensor_type.shape.dim)
        for one in onnx.load_model_from_string(graph).graph.input
    }


@cache
def windows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, TO, DO)).cumsum(1).astype(np.float32)


@cache
def normalizer() -> Normalizer:
    rng = np.random.default_rng(2)
    chunks = windows()[:, -1:, :DA] ** 2 + rng.normal(size=(80, H, DA)) * 0.3
    return Normalizer.fit(windows(), chunks, RANK, rng)


def student(which: str) -> GaussianMoE:
    """A student whose heads tell something."""
    torch.manual_seed(0)
    student = GaussianMoE(STUDENTS[which], *normalizer().sizes).eval()
    for name in ("gating", "log_scale", "follow", "factor"):
        if (head := getattr(student, name, None)) is not None:
            torch.nn.init.normal_(head.weight, std=0.05)  # they start at 0
    return student


def _of_student(which: str, part: type, outputs: list[str]) -> bytes:
    window = torch.zeros(TO, DO)
    return to_onnx(part(student(which), normalizer()), (window,), ["window"], outputs)


def _student(which: str) -> bytes:
    return _of_student(which, ActingStudent, ["log_gating", "means"])


def _expert(which: str) -> bytes:
    graph = expert_graph(student(which), normalizer(), (TO, DO))
    assert graph is not None
    return graph


def _density(which: str) -> bytes:
    return _of_student(which, StudentDensity, list(MixtureParameters._fields))


def _denoiser(which: str):
    teacher = make_teacher(TEACHERS[which], *normalizer().sizes).eval()
    torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)  # it starts at 0
    return teacher


def _teacher(which: str) -> bytes:
    if which in TEACHERS:
        return teacher_graph(_denoiser(which), normalizer(), NOISE, EULER, (TO, DO), candidates=2)
    return (unrolled if which == "unrolled" else looped)(
        _pieces(), Schedule.through(EULER.sigmas(NOISE))
    )


@cache
def _pieces() -> Pieces:
    return export_pieces(_denoiser("mlp"), normalizer(), NOISE.sigma_max, (TO, DO))


def _few_steps(which: str) -> bytes:
    objective = FEW_STEP["cd"]()
    net = objective.student(_denoiser("mlp")).eval()
    acting = ActingFewStep(net, normalizer(), objective)
    return few_step_graph(acting, (TO, DO), 2)


ENCODERS = {
    "small": EncoderConfig(channels=4, stages=2, features=6),
    "whole": EncoderConfig(channels=16),
}


def encoder(which: str) -> Encoder:
    """Of two images; untrained."""
    torch.manual_seed(0)
    return Encoder(ENCODERS[which], seeing()).eval()


def _encoder(which: str) -> bytes:
    return encoder_graphs(encoder(which), seeing())["front"]


def _seeing(which: str) -> bytes:
    """Of a policy that is told what an encoder makes of two images."""
    eyes = encoder("small")
    sizes, shape = eyes.sizes(normalizer()), (TO, DO + eyes.count * eyes.image_dim)
    torch.manual_seed(0)
    if which == "teacher":
        teacher = make_teacher(TEACHERS["transformer"], *sizes).eval()
        torch.nn.init.normal_(teacher.net.leave.weight, std=0.2)
        return teacher_graph(teacher, normalizer(), NOISE, EULER, shape, candidates=2)
    parts = (GaussianMoE(STUDENTS["transformer"], *sizes).eval(), normalizer(), shape)
    return student_graphs(*parts)[0]
