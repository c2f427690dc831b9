"""Demonstrations that a run was trained on, those held out from it, and others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import is_failure
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.runs import MOST, Teacher, load_windows
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.windows import Windows, windows_of

FITTED, CALIBRATED = 0.6, 0.8  # shares of recordings: up to here they are for this
N_OBS_STEPS, HORIZON = 1, 8  # of windows without a run


class Split(NamedTuple):
    """normalizer: fitted on the training windows; no episode is in two parts."""

    contract: Contract
    normalizer: Normalizer
    training: Windows
    calibration: Windows
    test: Windows


def unseen(teacher: Teacher, further: Path | None) -> Windows:
    """The windows held out from a teacher, and after them those of further recordings, if any."""
    held_out = load_windows(teacher, held_out=True)
    if further is None:
        return held_out
    more = unknown(teacher, further)
    more = more._replace(episode=more.episode + held_out.episode.max() + 1)
    return Windows.joined([held_out, more])


def unknown(teacher: Teacher, folder: Path) -> Windows:
    """Of the recordings in `folder` that a teacher was neither trained nor held out from; raises
    UserError where there are none."""
    known = set()
    for is_held_out in (False, True):
        stored = open_windows(teacher.folder, is_held_out)
        for first, end in zip(stored.firsts(), [*stored.firsts()[1:], len(stored)], strict=True):
            known.add(_content(stored.at(slice(first, end)).observations))
    recorded = _recorded(folder, teacher.contract, *_sizes(teacher))
    new = [name for name, content in _contents(recorded) if content not in known]
    if not new:
        raise UserError(f"{teacher.folder} knows every episode in {folder}: record others")
    return recorded.of_episodes(np.array(new))


def split_of_run(teacher: Teacher, further: Path | None, tried: Path) -> Split:
    """Fitted on what a teacher was trained on, calibrated on what it never saw, tried on what is in
    neither."""
    training = open_windows(teacher.folder, held_out=False).at_most(MOST)
    calibration = unseen(teacher, further)
    test = unknown(teacher, tried)
    known = {content for _, content in _contents(calibration)}
    new = [name for name, content in _contents(test) if content not in known]
    if not new:
        raise UserError(f"every episode in {tried} is calibrated on: record others")
    test = test.of_episodes(np.array(new))
    return Split(teacher.contract, teacher.normalizer, training, calibration, test)


def split_of_recordings(folder: Path) -> Split:
    """In the order in which they were made, so that what changes meanwhile is not mixed evenly."""
    names = _demonstrations(EpisodeStore(folder))
    if len(names) < 3:
        raise UserError(f"{len(names)} episodes in {folder}: to fit, calibrate and try takes more")
    contract = EpisodeStore(folder).load(names[0]).contract
    recorded = _recorded(folder, contract, N_OBS_STEPS, HORIZON)
    bounds = [round(share * len(names)) for share in (FITTED, CALIBRATED)]
    training, calibration, test = (
        recorded.of_episodes(part) for part in np.split(np.arange(len(names)), bounds)
    )
    rng = np.random.default_rng(0)
    normalizer = Normalizer.fit(training.observations, training.chunks, 1, rng, degree=1)
    return Split(contract, normalizer, training, calibration, test)


def _demonstrations(store: EpisodeStore) -> list[str]:
    """Names of episodes that nobody labelled as a failure, as `vdd train` takes them."""
    return [name for name in store.list() if not is_failure(store.manifest(name))]


def _recorded(folder: Path, contract: Contract, n_obs_steps: int, horizon: int) -> Windows:
    store = EpisodeStore(folder, contract)
    episodes = [store.load(name) for name in _demonstrations(store)]
    return windows_of(contract, episodes, n_obs_steps, horizon)


def _sizes(teacher: Teacher) -> tuple[int, int]:
    """To and H."""
    return len(teacher.normalizer.difference_std) + 1, len(teacher.normalizer.chunk_mean)


def _contents(windows: Windows) -> Iterator[tuple[int, bytes]]:
    """Index of each episode and a hash of all that was observed in it, as runs keep it."""
    for name in np.unique(windows.episode):
        yield int(name), _content(windows.observations[windows.episode == name])


def _content(observations: np.ndarray) -> bytes:
    return hashlib.sha256(observations.astype(np.float32).tobytes()).digest()
