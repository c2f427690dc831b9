"""Fidelity of students to their teacher on held-out windows, by METRICS.md, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.baselines import BASELINES, Predict
from vdd_ros.policies.fidelity import (
    bootstrap,
    energy_distance,
    nll_per_dimension,
    off_support,
    sliced_w2,
)
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.runs import (
    AnyStudent,
    FewStepStudent,
    Student,
    Teacher,
    load_windows,
    to_tensors,
    training_data,
)
from vdd_ros.policies.settings import given
from vdd_ros.policies.teacher import SamplerConfig, sample_chunks
from vdd_ros.policies.windows import Windows, require_positions

NLL_ROWS = 128  # at a time; a covariance over a whole chunk is large
GATING_ROWS = 4096
DEAD_SHARE = 0.1  # of an even share of the gating, below which an expert is dead
# why a policy lacks a figure, where it is one of samples
NO_DENSITY = {
    "nll": "it makes chunks of noise and has no density",
    "off_support_means": "it makes chunks of noise and has no experts",
}


@dataclass(frozen=True)
class JudgeConfig:
    """The counts of METRICS.md; `sampler` is the teacher's best one."""

    observations: int = 200
    samples: int = 50
    reference: int = 256
    sampler: SamplerConfig = SamplerConfig("heun", 9)
    seed: int = 0

    def __post_init__(self):
        if min(self.observations, self.reference) < 1 or self.samples < 2:
            raise ValueError(
                f"a distance needs observations and 2 samples or more of each: {given(self)}"
            )


class Judge:
    """Holds the teacher's draws at held-out observations; every policy is judged on the same."""

    def __init__(self, teacher: Teacher, config: JudgeConfig | None = None):
        self.teacher, self.config = teacher, config or JudgeConfig()
        unseen = load_windows(teacher, held_out=True)
        held_out = to_tensors(teacher.normalizer, unseen, teacher.encoder)
        self.cond, self.chunks, self.windows = held_out
        self.generator = torch.Generator().manual_seed(self.config.seed)
        count = min(self.config.observations, len(self.cond))
        self.index = torch.randperm(len(self.cond), generator=self.generator)[:count]
        self.draw_a = self._teacher_draws(self.config.samples)
        self.draw_b = self._teacher_draws(self.config.samples)
        self.reference = self._teacher_draws(self.config.reference)
        self.fresh = self._teacher_draws(self.config.reference)

    def of_teacher(self) -> dict:
        """The floors: one draw of the teacher against another."""
        return self._of_draws(self.config.sampler.nfe, self.draw_b)

    def of_one_step_teacher(self) -> dict:
        """The teacher asked once, at sigma_max: the mean of everything it could do."""
        one_step = SamplerConfig("euler", 1)
        samples = self._teacher_draws(self.config.samples, one_step, self._luck())
        return self._of_draws(1, samples)

    def of_people(self) -> dict:
        """What the demonstrations themselves are to the teacher: one chunk per observation, which
        is too few for a distance."""
        shown = self._standardize(self.chunks[self.index][:, None])
        return {
            "nfe": None,
            "nll": None,
            "energy_distance": None,
            "off_support": self._off_support(shown),
            "off_support_means": None,
        }

    def of_student(self, student: AnyStudent) -> dict:
        """Every figure of a student, see `of`; of one that makes a chunk of noise those that
        samples have."""
        if isinstance(student, Student):
            figures = self.of(lambda cond, observations: student.moe(cond))
            return figures | experts_of(student.moe, self.cond)
        cond = self.cond[self.index].repeat_interleave(self.config.samples, dim=0)
        drawn = student.sample(cond, self._luck()).view(len(self.index), self.config.samples, -1)
        return self._of_draws(student.nfe, self._standardize(drawn))

    @torch.no_grad()
    def of(self, predict: Predict) -> dict:
        """Every figure of a density; NLL over all held-out windows, by and over episodes."""
        mixture = _single(
            predict(self.cond[self.index], self.windows.observations[self.index.numpy()])
        )
        luck = self._luck()
        samples = self._standardize(mixture.sample(self.config.samples, luck))
        means = self._standardize(mixture.sample_means(self.config.samples, luck))
        by_episode = self._nll_by_episode(predict)
        nll = bootstrap(by_episode, self.config.seed)
        return {
            "nfe": 1,
            "nll": nll.mean,
            "nll_interval": [nll.low, nll.high],
            "nll_by_episode": by_episode.tolist(),
            **self._distances(samples),
            "off_support": self._off_support(samples),
            "off_support_means": self._off_support(means),
        }

    @torch.no_grad()
    def energy_distance_of(self, moe: GaussianMoE) -> float:
        """That figure alone of a student in training, equal to what `of` says of it."""
        mixture = _single(moe(self.cond[self.index]))
        samples = self._standardize(mixture.sample(self.config.samples, self._luck()))
        return float(energy_distance(samples, self.draw_a).numpy().mean())

    def _nll_by_episode(self, predict: Predict) -> np.ndarray:
        values = nll_by_window(self.teacher.normalizer, predict, self.cond, self.windows)
        episode = self.windows.episode
        return np.array([values[episode == one].mean() for one in np.unique(episode)])

    def _of_draws(self, nfe: int | None, samples: Tensor) -> dict:
        """What has neither a density nor experts."""
        return {
            "nfe": nfe,
            "nll": None,
            **self._distances(samples),
            "off_support": self._off_support(samples),
            "off_support_means": None,
            "missing": NO_DENSITY,
        }

    def _distances(self, samples: Tensor) -> dict:
        by_observation = energy_distance(samples, self.draw_a).numpy()
        energy = bootstrap(by_observation, self.config.seed)
        floor = bootstrap(energy_distance(self.draw_b, self.draw_a).numpy(), self.config.seed)
        return {
            "energy_distance": energy.mean,
            "energy_distance_se": energy.standard_error,
            "energy_by_observation": by_observation.tolist(),
            "energy_floor": floor.mean,
            "sliced_w2": float(sliced_w2(samples, self.draw_a).mean()),
        }

    def _off_support(self, samples: Tensor) -> float:
        return float(off_support(samples, self.reference, self.fresh).mean())

    def _luck(self) -> torch.Generator:
        """The same for every policy, after the teacher's draws: no figure depends on who else is
        judged, and students in training differ by what they learned."""
        generator = torch.Generator()
        generator.set_state(self.generator.get_state())
        return generator

    def _teacher_draws(
        self,
        count: int,
        sampler: SamplerConfig | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        cond = self.cond[self.index].repeat_interleave(count, dim=0)
        drawn = sample_chunks(
            self.teacher.denoiser.denoise,
            cond,
            self.chunks.shape[1],
            self.teacher.config.sampling_noise,
            sampler or self.config.sampler,
            generator or self.generator,
        )
        return self._standardize(drawn.view(len(self.index), count, -1))

    def _standardize(self, normalized: Tensor) -> Tensor:
        """(B, N, R) normalised -> (B, N, H*Da) per-dimension standardised actions."""
        normalizer = self.teacher.normalizer
        observations = self.windows.observations[self.index.numpy()][:, None]
        chunks = normalizer.unnormalize(normalized.double().numpy(), observations)
        return torch.tensor(normalizer.standardize(chunks), dtype=torch.float32).flatten(2)


def judged(
    teacher: Teacher,
    students: Mapping[str, AnyStudent],
    baselines: Sequence[str],
    config: JudgeConfig,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, dict]:
    """Every figure of people, of a teacher, of it with one step, of students and of BASELINES, by
    name; raises UserError for a contract that a baseline cannot read."""
    if "hold-last" in baselines:
        require_positions(teacher.contract, "hold-last")
    judge, count = Judge(teacher, config), len(students) + len(baselines)
    size = {"parameters": count_parameters(teacher.denoiser)}
    results = {
        "people": judge.of_people(),
        "teacher": judge.of_teacher() | size,
        "teacher-1": judge.of_one_step_teacher() | size,
    }
    for done, (name, student) in enumerate(students.items(), start=1):
        net = student.net if isinstance(student, FewStepStudent) else student.moe
        results[name] = judge.of_student(student) | {"parameters": count_parameters(net)}
        report(done, count)
    data = training_data(teacher) if baselines else None
    for done, name in enumerate(baselines, start=len(students) + 1):
        assert data is not None
        results[name] = judge.of(_of_state(BASELINES[name](data).predict, teacher))
        report(done, count)
    return results


def _of_state(predict: Predict, teacher: Teacher) -> Predict:
    """A baseline, which sees no images, told what a teacher is told."""
    size = teacher.normalizer.sizes[1]
    return lambda cond, observations: predict(cond[:, :size], observations)


@torch.no_grad()
def nll_by_window(
    normalizer: Normalizer, predict: Predict, cond: Tensor, windows: Windows
) -> np.ndarray:
    """(N,) NLL of the chunk that was demonstrated at each window [nats per dimension]."""
    nothing = np.zeros((len(windows.chunks), normalizer.sizes[-1]))
    centre = normalizer.unnormalize(nothing, windows.observations)
    offsets = torch.tensor((windows.chunks - centre) / normalizer.action_std)
    scale = np.tile(normalizer.action_std, len(normalizer.chunk_mean))
    decoder = torch.tensor(normalizer.decoder / scale[:, None])
    remainder = torch.tensor(normalizer.remainder_covariance / np.outer(scale, scale))
    is_pad = torch.tensor(windows.is_pad)
    parts = []
    for begin in range(0, len(windows.chunks), NLL_ROWS):
        rows = slice(begin, begin + NLL_ROWS)
        mixture = predict(cond[rows], windows.observations[rows])
        parts.append(nll_per_dimension(mixture, offsets[rows], decoder, remainder, is_pad[rows]))
    return torch.cat(parts).numpy()


def _single(mixture: GaussianMixture) -> GaussianMixture:
    return GaussianMixture(*(part.float() for part in mixture))


@torch.no_grad()
def experts_of(moe: GaussianMoE, cond: Tensor) -> dict:
    """How experts are used over observations (N, C). dead_experts: how many have less than
    DEAD_SHARE of an even share of the gating; effective_experts: mean of exp(entropy)."""
    logits = [moe.gating(moe.trunk(rows)) for rows in cond.split(GATING_ROWS)]
    log_gating = torch.log_softmax(torch.cat(logits).float(), dim=-1)
    gating = log_gating.exp()
    count = gating.shape[1]
    return {
        "n_experts": count,
        "dead_experts": int((gating.mean(0) < DEAD_SHARE / count).sum()),
        "effective_experts": float(torch.exp(-(gating * log_gating).sum(-1)).mean()),
    }
