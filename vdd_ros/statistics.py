"""What rollouts say about a policy: success, diversity, and whether two policies are equal.

A policy's rollouts come as `ways`, in the order of their seeds: the declared mode (0..n_modes-1) of
each successful rollout, None for each that failed. Rollouts from several contexts also come with
`contexts`, one label per rollout; without it all belong to one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

Ways = Sequence["int | None"]

LARGEST_DEFICIT = 0.05  # by which an equal policy may fall behind in one task
ROUNDING = 1e-9  # 0.95 - 1.0 is a deficit of 0.05, not of more
DRAWS = 10_000
DRAWS_AT_A_TIME = 500  # bounds the memory of the resampled counts
FAILED = -1


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Entropy(NamedTuple):
    """Behaviour entropy under both conventions for contexts without success: 0, or left out.

    `dropped` is None where no context has a success.
    """

    zero: float
    dropped: float | None


class Difference(NamedTuple):
    """mean: of first minus second; lower: its one-sided 95 % bound."""

    mean: float
    lower: float


class Equality(NamedTuple):
    """A student beside its teacher, per task and in the mean; no ratio to a teacher's 0: None."""

    equal: bool
    mean_ratio: float | None
    ratios: tuple[float | None, ...]
    differences: tuple[Difference, ...]


class Pair(NamedTuple):
    """Student and teacher in one task, rollout i of both with the same context and seed."""

    student: Ways
    teacher: Ways
    n_modes: int
    contexts: Sequence[int] | None = None


def wilson(successes: int, n: int) -> Interval:
    """Wilson score interval of a success rate (Wilson, 1927); raises ValueError without a trial."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes in {n} trials")
    z = NormalDist().inv_cdf(0.975)
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At both ends the root cancels exactly on paper, and only there.
    return Interval(
        0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half
    )


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high): 95 % interval of the mean of (N,) values by Student's t, N >= 2."""
    from scipy.stats import t

    mean = float(values.mean())
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def behaviour_entropy(ways: Ways, n_modes: int, contexts: Sequence[int] | None = None) -> Entropy:
    """Plug-in entropy of the ways of successful rollouts, log base `n_modes`, mean over contexts.

    It is biased downwards by the number of rollouts: compare at equal numbers only. Raises
    ValueError without rollouts, with a way that is not declared, or with fewer than two modes.
    """
    codes = _codes(ways, n_modes)
    groups = _groups(contexts, len(codes))
    succeeded = [(codes[group] != FAILED).any() for group in groups]
    zero = float(_entropy(codes, np.ones((1, len(codes))), n_modes, groups)[0])
    dropped = zero * len(groups) / sum(succeeded) if any(succeeded) else None
    return Entropy(zero, dropped)


def modes_taken(ways: Ways) -> int:
    """How many modes at least one successful rollout took."""
    return len(set(ways) - {None})


def modes_covered(ways: Ways) -> int:
    """How many modes at least two successful rollouts took; one alone may be an accident."""
    return sum(count >= 2 for way, count in Counter(ways).items() if way is not None)


def equal_to_teacher(
    tasks: Sequence[Pair], figure: Literal["success", "entropy"], ratio: float, seed: int
) -> Equality:
    """Whether a student is equal to its teacher in success or in behaviour entropy.

    It is if the mean over tasks of student / teacher is at least `ratio` and in no task the lower
    bound of student - teacher is below -0.05. The bound is by resampling rollout indices, of both
    policies at once and within each context; entropy is computed anew on each resample, a context
    without success counting 0.
    """
    compared = [_compare(pair, FIGURES[figure], seed) for pair in tasks]
    ratios = tuple(student / teacher if teacher else None for student, teacher, _ in compared)
    known = [value for value in ratios if value is not None]
    mean_ratio = float(np.mean(known)) if known and len(known) == len(ratios) else None
    differences = tuple(difference for *_, difference in compared)
    holds = all(difference.lower >= -LARGEST_DEFICIT - ROUNDING for difference in differences)
    equal = holds and mean_ratio is not None and mean_ratio >= ratio - ROUNDING
    return Equality(equal, mean_ratio, ratios, differences)


def _compare(pair: Pair, figure: Callable, seed: int) -> tuple[float, float, Difference]:
    """The student's figure, the teacher's, and their difference."""
    if len(pair.student) != len(pair.teacher):
        raise ValueError(f"{len(pair.student)} rollouts against {len(pair.teacher)}: no pairs")
    groups = _groups(pair.contexts, len(pair.student))

    def both(weights: np.ndarray) -> np.ndarray:  # (2, R)
        codes = [_codes(ways, pair.n_modes) for ways in (pair.student, pair.teacher)]
        return np.array([figure(code, weights, pair.n_modes, groups) for code in codes])

    student, teacher = both(np.ones((1, len(pair.student))))[:, 0].tolist()
    draws = [np.subtract(*both(weights)) for weights in _resamples(groups, seed)]
    return student, teacher, Difference(student - teacher, _lower(draws))


def _success(
    codes: np.ndarray, weights: np.ndarray, n_modes: int, groups: list[np.ndarray]
) -> np.ndarray:
    """(R,) success rate when rollout i counts weights[:, i] times."""
    return weights @ (codes != FAILED) / len(codes)


def _entropy(
    codes: np.ndarray, weights: np.ndarray, n_modes: int, groups: list[np.ndarray]
) -> np.ndarray:
    """(R,) mean over contexts of the entropy; a context without success counts 0."""
    if n_modes < 2:
        raise ValueError("the entropy of a single mode has no unit")
    taken = codes[:, None] == np.arange(n_modes)  # (n, n_modes)
    total = np.zeros(len(weights))
    for group in groups:
        counts = weights[:, group] @ taken[group]  # (R, n_modes)
        p = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        total -= (p * np.log(np.where(p > 0, p, 1.0))).sum(1)
    return total / np.log(n_modes) / len(groups)


FIGURES = {"success": _success, "entropy": _entropy}


def _resamples(groups: list[np.ndarray], seed: int) -> Iterator[np.ndarray]:
    """How often each rollout is drawn when as many as there are are drawn with replacement within
    each group: DRAWS rows in blocks (R, n)."""
    rng = np.random.default_rng(seed)
    n = sum(map(len, groups))
    for _ in range(DRAWS // DRAWS_AT_A_TIME):
        weights = np.zeros((DRAWS_AT_A_TIME, n))
        for group in groups:
            even = np.full(len(group), 1 / len(group))
            weights[:, group] = rng.multinomial(len(group), even, size=DRAWS_AT_A_TIME)
        yield weights


def _lower(blocks: list[np.ndarray]) -> float:
    return float(np.quantile(np.concatenate(blocks), 0.05))


def _groups(contexts: Sequence[int] | None, n: int) -> list[np.ndarray]:
    """Indices of the rollouts of each context."""
    labels = np.zeros(n, dtype=int) if contexts is None else np.asarray(contexts)
    if n == 0 or len(labels) != n:
        raise ValueError(f"{len(labels)} contexts for {n} rollouts")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _codes(ways: Ways, n_modes: int) -> np.ndarray:
    """(n,) ways as integers, FAILED for None."""
    codes = np.array([FAILED if way is None else way for way in ways], dtype=int)
    if ((codes < FAILED) | (codes >= n_modes)).any():
        raise ValueError(f"ways {sorted(set(codes.tolist()))} of {n_modes} declared modes")
    return codes
