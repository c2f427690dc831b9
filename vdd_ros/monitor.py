"""Monitor: how a run is going, for whoever watches; nothing here touches a command.

`take` is called by the control thread and costs microseconds; `state` is called by another one.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from vdd_ros.conformal import RunningMean
from vdd_ros.contract import Contract
from vdd_ros.feature_distance import FeatureDistance
from vdd_ros.inference import OnnxDensity, PolicyError
from vdd_ros.ood_detector import OodDetector
from vdd_ros.stream import Sample
from vdd_ros.tick_result import TickResult

# A minute at 100 Hz: long enough for a 99th percentile, short enough to show what is going on now.
REMEMBERED_TICKS = 6000
# Of missed deadlines: one stall is no slow loop, and what a tick in time makes up for.
MOST_AT_ONCE, FORGIVEN = 5, 0.1


class RunState(NamedTuple):
    """One look at a run; None is what is not known.

    lateness_ms: p50, p99 and max of tick interval minus period; deadline_misses: ticks late by more
    than half a period; infer_us: p50 and p99 of the network call; expert_use: share of the
    replannings by expert, the most used first; switches_per_s: changes of the expert followed, over
    the time of the run; log_likelihood: of the chunk last chosen, given its window, under the whole
    mixture [nats]; ood_distance: of the observations from the training set, running mean [standard
    deviations]; image_distances: likewise, of what each image shows; out_of_distribution: whether
    one of them is above its threshold; limited: ticks in which a limit shaped the command.
    """

    ticks: int
    deadline_misses: int
    lateness_ms: tuple[float, ...] | None
    infer_us: tuple[float, ...] | None
    replans: int
    expert: int | None
    expert_use: dict[int, float]
    switches_per_s: float
    gating_entropy: float | None
    log_likelihood: float | None
    ood_distance: float | None
    out_of_distribution: bool | None
    limited: dict[str, int]
    image_distances: dict[str, float]


class Recent:
    """The newest REMEMBERED_TICKS of a series of numbers, in one array.

    Reading it is one copy: turning a list of thousands of Python numbers into an array would keep
    the interpreter from the control thread for a good part of a millisecond.
    """

    def __init__(self) -> None:
        self._values = np.zeros(REMEMBERED_TICKS)
        self._count = 0

    def add(self, value: float) -> None:
        """Append one, forgetting the oldest."""
        self._values[self._count % REMEMBERED_TICKS] = value
        self._count += 1

    def quantiles(self, *percents: float) -> tuple[float, ...] | None:
        """Percentiles of what is remembered; None while there is nothing."""
        known = self._values[: min(self._count, REMEMBERED_TICKS)]
        return tuple(np.percentile(known, percents).tolist()) if known.size else None


class _ImageDistance:
    """How far an image is from those trained on, as a running mean over ticks."""

    def __init__(self, of: FeatureDistance, running_ticks: int):
        self.of = of
        self.mean: float | None = None  # [standard deviations]
        self._running = RunningMean(running_ticks)
        self._stamp_ns, self._distance = -1, 0.0  # of the newest picture

    def take(self, sample: Sample) -> None:
        """The picture seen at a tick; a new one at few of them."""
        if sample.stamp_ns != self._stamp_ns:
            self._stamp_ns = sample.stamp_ns
            self._distance = self.of.distance_of(sample.value)
        self.mean = self._running.add(self._distance)

    @property
    def is_out(self) -> bool | None:
        if self.mean is None or self.of.distance is None:
            return None
        return not self.mean <= self.of.distance.value

    @property
    def explanation(self) -> str:
        assert self.mean is not None and self.of.distance is not None
        return (
            f"image {self.of.image} is {self.mean:.3g} from what was trained on, the threshold is "
            f"{self.of.distance.value:.3g}: has its camera been moved, swapped or covered?"
        )


class Monitor:
    """Counts and quantiles of one run, and whether its observations are like those trained on."""

    def __init__(
        self,
        period_ns: int,
        density: OnnxDensity | None = None,
        detector: OodDetector | None = None,
    ):
        self.period_ns = period_ns
        self.density = density
        self.detector = detector
        self.ood_distance: float | None = None  # running mean [standard deviations]
        self._distance_mean = RunningMean(detector.running_ticks if detector else 1)
        self._images: list[_ImageDistance] = []
        if detector is not None:
            ticks = detector.running_ticks
            self._images = [_ImageDistance(one, ticks) for one in detector.images]
        self._window: np.ndarray | None = None
        self.missed_lately = 0.0  # deadlines, less a tenth for each tick since
        self._ticks = self._misses = self._replans = self._switches = 0
        self._last_wake_ns: int | None = None
        self._lateness_ms, self._infer_us = Recent(), Recent()
        self._experts: Counter[int] = Counter()
        self._limited: Counter[str] = Counter()
        self._plan: TickResult | None = None

    def take(self, result: TickResult, wake_ns: int) -> None:
        """One tick that began at `wake_ns` of a steady clock."""
        self._ticks += 1
        if self._last_wake_ns is not None:
            lateness_ns = wake_ns - self._last_wake_ns - self.period_ns
            self._lateness_ms.add(lateness_ns * 1e-6)
            self._misses += 2 * lateness_ns > self.period_ns
            missed = min(round(lateness_ns / self.period_ns), MOST_AT_ONCE)
            self.missed_lately = max(0.0, self.missed_lately - FORGIVEN) + max(0, missed)
        self._last_wake_ns = wake_ns
        if result.output is not None:
            self._limited.update(result.output.limited)
        if self.detector is not None and result.window is not None:
            self._window = result.window.values
            distance = self.detector.distance_of(self._window)
            self.ood_distance = self._distance_mean.add(distance)
            for image, sample in zip(self._images, result.window.images, strict=False):
                image.take(sample)
        if result.infer_s is not None and result.expert is not None:
            self._replans += 1
            self._switches += self._plan is not None and self._plan.expert != result.expert
            self._plan = result
            self._infer_us.add(result.infer_s * 1e6)
            self._experts[result.expert] += 1

    def state(self) -> RunState:
        """The run so far; evaluates the density, where there is one."""
        plan = self._plan
        return RunState(
            ticks=self._ticks,
            deadline_misses=self._misses,
            lateness_ms=self._lateness_ms.quantiles(50, 99, 100),
            infer_us=self._infer_us.quantiles(50, 99),
            replans=self._replans,
            expert=plan.expert if plan else None,
            expert_use={z: n / self._replans for z, n in self._experts.copy().most_common()},
            switches_per_s=self._switches / max(1, self._ticks) / (self.period_ns * 1e-9),
            gating_entropy=plan.gating_entropy if plan else None,
            log_likelihood=self._log_likelihood(plan),
            ood_distance=self.ood_distance,
            out_of_distribution=self.out_of_distribution,
            limited=dict(self._limited),
            image_distances={
                one.of.image: one.mean for one in self._images if one.mean is not None
            },
        )

    @property
    def out_of_distribution(self) -> bool | None:
        """Whether observations are further from the training set than calibrated; None: unknown."""
        if not self._images:
            return self._numbers_are_out
        verdicts = [self._numbers_are_out, *(image.is_out for image in self._images)]
        known = [is_out for is_out in verdicts if is_out is not None]
        return any(known) if known else None

    @property
    def _numbers_are_out(self) -> bool | None:
        if self.detector is None or self.detector.distance is None or self.ood_distance is None:
            return None
        return not self.ood_distance <= self.detector.distance.value  # what is not finite is

    def explanation(self, contract: Contract) -> str:
        """Of what is out of distribution: how far, and which numbers of the observation make it."""
        if self.detector is None or self._window is None or self.ood_distance is None:
            return ""
        told = [image.explanation for image in self._images if image.is_out]
        if self._numbers_are_out:
            told.append(self.detector.explanation(self._window, self.ood_distance, contract))
        return "; ".join(told)

    def _log_likelihood(self, plan: TickResult | None) -> float | None:
        if plan is None or plan.actions is None or plan.seen is None or self.density is None:
            return None
        try:
            return self.density.log_prob(plan.seen.values, plan.actions)
        except PolicyError:
            return None
