"""A folder of episodes that were decoded and resampled before, one file an episode.

A file is named for all that decides what is in it: the recording's checksum, the contract, the
sizes of a window and the code that makes them. No run that has ended needs the folder: it may be
deleted at any time, and of more than MOST_BYTES what was used longest ago is. Several runs may
share it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros import (
    action_space,
    bag,
    camera_images,
    episode,
    fitness,
    kinematic_model,
    kinematics,
    leader_verdict,
    mcap_records,
    motion_verdict,
    poses,
    replay,
    response,
    rotations,
    stream,
    takeover,
    timing_verdict,
    verdict,
)
from vdd_ros.action_space import ActionSpace
from vdd_ros.contract import Contract
from vdd_ros.environment import is_first_process
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import require_saved_as_fit, warning_of
from vdd_ros.manifest import Manifest
from vdd_ros.policies import windows
from vdd_ros.policies.pictures import EpisodeViews, Views
from vdd_ros.policies.tensor_file import Shape, TensorFile, TensorWriter, read_whole
from vdd_ros.policies.window_source import (
    EpisodeFacts,
    WindowSource,
    calibration_of,
    source_of,
)
from vdd_ros.policies.windows import (
    WindowSizes,
    episode_windows,
    episode_windows_of,
    shares_steps,
)

VARIABLE = "VDD_CACHE"
MOST_BYTES = 100 * 10**9
IRRELEVANT = ("name", "e_stop_topic", "recording")  # of a contract, to its windows
KINDS = {
    **dict.fromkeys(("observations", "actions"), np.float64),
    **dict.fromkeys(("place", "last", "real"), np.int32),
    "stride": np.int64,
    "numbers": np.int32,
    "ages_s": np.float32,
    "of_policy": np.bool_,
    "warning": np.uint8,
}
NONE = "-"  # of a warning: no file has an empty tensor
WORTH_PROCESSES = 32 << 20  # [bytes] of recordings, below which starting processes takes longer
# What windows are made by: a file of other code is another file.
CODE = (
    *(
        fitness,
        verdict,
        motion_verdict,
        leader_verdict,
        timing_verdict,
        response,
        windows,
        stream,
        replay,
        takeover,
        episode,
        bag,
        mcap_records,
        poses,
        camera_images,
    ),
    *(action_space, kinematics, kinematic_model, rotations),
)


class Entry(NamedTuple):
    """One episode, the file that its windows are in, and what it was calibrated by."""

    name: str
    bytes: int
    path: Path
    calibration: str


class Job(NamedTuple):
    """What a process needs to know to make any entry."""

    store: Path
    contract: Contract
    sizes: WindowSizes


def default_folder() -> Path:
    """Where VDD_CACHE says, else beside what other programs cache."""
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vdd_ros"


def cached_windows(
    store: EpisodeStore,
    names: Sequence[str],
    contract: Contract,
    sizes: WindowSizes,
    folder: Path | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    wait: Callable[[], None] = lambda: None,
    most_bytes: int = MOST_BYTES,
) -> WindowSource:
    """The windows of some episodes of a store, in that order; those that are not in the cache are
    made, by the first process of several; report(done, total): episodes; wait: until all processes
    are here.

    Raises UserError where an episode is damaged, of another interface or has no windows, or the
    folder cannot be written.
    """
    folder = folder or default_folder()
    job = Job(store.folder, contract, sizes)
    entries = [_entry(job, store, name, folder) for name in names]
    if is_first_process():
        with _telling_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
        missing = [one for one in entries if _facts(one) is None]
        there = len(entries) - len(missing)
        report(there, len(entries))
        for done, _ in enumerate(_make(missing, job), start=there + 1):
            report(done, len(entries))
        _tidy(folder, entries, most_bytes)
    wait()
    facts = [_facts(one) for one in entries]
    if None in facts:
        raise UserError(f"somebody is emptying {folder}: start again")
    return source_of(
        [one for one in facts if one is not None],
        sizes.horizon,
        lambda index: episode_windows_of(read_whole(entries[index].path)),
        lambda index: _views(contract, store, entries[index].name),
    )


def _views(contract: Contract, store: EpisodeStore, name: str) -> Views | None:
    """The pictures of an episode, which no cache keeps: they are read where they were recorded."""
    if not contract.images:
        return None
    episode = Episode(store.manifest(name), {}, store.folder / name)
    return EpisodeViews.of(contract, episode)


@contextmanager
def _telling_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the cache of decoded episodes in {folder} cannot be written ({error.strerror}): "
            f"make room, or name another folder with {VARIABLE}"
        ) from None


def _entry(job: Job, store: EpisodeStore, name: str, folder: Path) -> Entry:
    manifest = store.manifest(name)
    store.require_as_saved(name)
    require_saved_as_fit(manifest)
    job.contract.require_same_recording(manifest.contract, f"episode {store.folder / name}")
    for file, saved in manifest.files.items():
        path = store.folder / name / file
        if not path.is_file() or path.stat().st_size != saved.bytes:
            manifest.check_files(store.folder / name)  # which says what is wrong
    size = sum(saved.bytes for saved in manifest.files.values())
    path = folder / f"{_key(job, manifest)}.safetensors"
    return Entry(name, size, path, calibration_of(manifest))


def _key(job: Job, manifest: Manifest) -> str:
    """For all that decides what is in an entry."""
    decides = {
        "recording": {name: saved.sha256 for name, saved in manifest.files.items()},
        "recorded with": manifest.contract_hash,
        "contract": {
            name: part for name, part in job.contract.to_dict().items() if name not in IRRELEVANT
        },
        "n_obs_steps": job.sizes.n_obs_steps,
        "horizon": None if shares_steps(job.contract) else job.sizes.horizon,
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    digest = hashlib.sha256()
    for module in CODE:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _facts(entry: Entry) -> EpisodeFacts | None:
    """What is in a file, None where there is none that is whole."""
    try:
        tensors = TensorFile(entry.path).tensors
        counts = len(tensors["place"]), len(tensors["actions"])
        warning = bytes(tensors["warning"]).decode().removesuffix(NONE)
        of_policy = bool(tensors["of_policy"][0])
        return EpisodeFacts(entry.name, *counts, of_policy, warning, entry.calibration)
    except (UserError, KeyError):
        return None


def _make(missing: list[Entry], job: Job) -> Iterator[None]:
    """Make entries, and say so after each; in processes of their own where that is worth it. One
    fault ends it; what was made by then stays."""
    small = sum(one.bytes for one in missing) < WORTH_PROCESSES or len(missing) == 1
    if small or multiprocessing.current_process().daemon:  # which may have no children
        _remember(job)
        for one in missing:
            _write(one)
            yield
        return
    fresh = multiprocessing.get_context("spawn")  # threads of this process do not survive a fork
    with ProcessPoolExecutor(os.cpu_count(), fresh, _remember, (job,)) as pool:
        written = [pool.submit(_write, one) for one in missing]
        try:
            for future in as_completed(written):
                future.result()
                yield
        finally:
            pool.shutdown(cancel_futures=True)


_WORK: list[tuple[Job, ActionSpace]] = []  # of this process, which makes one entry after another


def _remember(job: Job) -> None:
    _WORK[:] = [(job, action_space.action_space(job.contract))]


def _write(entry: Entry) -> None:
    job, space = _WORK[0]
    store = EpisodeStore(job.store, job.contract)
    read = store.load(entry.name)
    if job.contract.images:
        store.check_images(entry.name)
    warning = warning_of(read)
    found = episode_windows(job.contract, space, read, *job.sizes)
    tensors = {
        **found.arrays,
        "of_policy": np.array([takeover.is_of_policy(read.streams)]),
        "warning": np.frombuffer((warning or NONE).encode(), np.uint8),
    }
    shapes = {name: Shape(KINDS[name], part.shape) for name, part in tensors.items()}
    with _telling_faults(entry.path.parent), TensorWriter(entry.path, shapes) as writer:
        for name, part in tensors.items():
            writer.write(name, part)


def _tidy(folder: Path, used: list[Entry], most_bytes: int) -> None:
    """Say that entries are used, and delete what others used longest ago while there are more than
    so many bytes; what a killed process left counts likewise."""
    own = {one.path for one in used}
    there = []
    for path in _files(folder):
        with suppress(OSError):  # another run may be at it
            if path in own:
                os.utime(path)
            stat = path.stat()
            there.append((stat.st_mtime_ns, stat.st_size, path))
    total = sum(size for _, size, _ in there)
    for _, size, path in sorted(there):
        if total > most_bytes and path not in own:
            path.unlink(missing_ok=True)
            total -= size


def _files(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.safetensors")
    yield from folder.glob("*.part")
