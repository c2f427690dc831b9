"""Demonstrations for fitting an OodDetector, for calibrating it, and others that it is tried on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.runs import Teacher, load_windows
from vdd_ros.policies.windows import Windows, windows_of

FITTED, CALIBRATED = 0.7, 0.85  # shares of recordings: up to here they are for this
N_OBS_STEPS, HORIZON = 1, 8  # of windows without a run


class Split(NamedTuple):
    """normalizer: fitted on the training windows; no episode is in two parts."""

    contract: Contract
    normalizer: Normalizer
    training: Windows
    calibration: Windows
    test: Windows


def split_of_run(teacher: Teacher, demonstrations: Path | None) -> Split:
    """Fitted on what a teacher was trained on, calibrated on what it never saw, tried on those of
    the recordings that it does not know at all; without any, held-out episodes serve for both, the
    first half for calibrating."""
    training, held_out = (load_windows(teacher, held_out=is_it) for is_it in (False, True))
    parts = teacher.contract, teacher.normalizer, training
    if demonstrations is None:
        first, second = np.array_split(np.unique(held_out.episode), 2)
        return Split(*parts, held_out.of_episodes(first), held_out.of_episodes(second))
    known = {content for part in (training, held_out) for _, content in _contents(part)}
    steps = training.observations.shape[1]
    recorded = _recorded(demonstrations, teacher.contract, steps, training.chunks.shape[1])
    new = [name for name, content in _contents(recorded) if content not in known]
    if not new:
        raise UserError(f"the run knows every episode in {demonstrations}: record others")
    return Split(*parts, held_out, recorded.of_episodes(np.array(new)))


def split_of_recordings(demonstrations: Path) -> Split:
    """In the order in which they were made, so that what changes meanwhile is not mixed evenly."""
    store = EpisodeStore(demonstrations)
    names = store.list()
    if len(names) < 3:
        raise UserError(f"{len(names)} episodes in {demonstrations}: 3 parts need some more")
    contract = store.load(names[0]).contract
    recorded = _recorded(demonstrations, contract, N_OBS_STEPS, HORIZON)
    bounds = [round(share * len(names)) for share in (FITTED, CALIBRATED)]
    training, calibration, test = (
        recorded.of_episodes(part) for part in np.split(np.arange(len(names)), bounds)
    )
    rng = np.random.default_rng(0)
    normalizer = Normalizer.fit(training.observations, training.chunks, 1, rng, degree=1)
    return Split(contract, normalizer, training, calibration, test)


def _recorded(folder: Path, contract: Contract, n_obs_steps: int, horizon: int) -> Windows:
    store = EpisodeStore(folder, contract)
    episodes = [store.load(name) for name in store.list()]
    return windows_of(contract, episodes, n_obs_steps, horizon)


def _contents(windows: Windows) -> Iterator[tuple[int, bytes]]:
    """Index of each episode and a hash of all that was observed in it, as runs keep it."""
    for name in np.unique(windows.episode):
        observed = windows.observations[windows.episode == name].astype(np.float32)
        yield int(name), hashlib.sha256(observed.tobytes()).digest()
