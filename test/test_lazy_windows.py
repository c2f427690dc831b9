"""Windows that are read where they are needed: the same numbers as all of them in memory."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from recordings import CONTRACT, record
from safetensors.torch import load_file, save_file

from vdd_ros import cli
from vdd_ros.action_space import action_space
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.normalizer import (
    RIDGE,
    SHIFT_STD,
    SPREAD_FLOOR,
    STD_FLOOR,
    Normalizer,
    features,
    terms_of,
)
from vdd_ros.policies import examples, learn, window_cache, window_source
from vdd_ros.policies.checkpoint import fingerprint
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.pool import PoolConfig, training_pool
from vdd_ros.policies.runs import load_teacher, load_windows, training_data
from vdd_ros.policies.stored_windows import open_windows
from vdd_ros.policies.teacher import SamplerConfig, TeacherConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.policies.window_cache import cached_windows
from vdd_ros.policies.window_source import WindowSource, in_memory
from vdd_ros.policies.windows import Windows, WindowSizes, windows_of
from vdd_ros.replay import replay_windows

SIZES = WindowSizes(2, 6)
SMALL = TeacherConfig(n_obs_steps=2, horizon=6, rank=8, width=16, blocks=1)
TRAINING = TrainingConfig(steps=12, batch_size=32, bf16=False)


def changed(**more) -> Contract:
    return Contract.from_dict(CONTRACT.to_dict() | more)


CONTRACTS = {
    "shared": CONTRACT,
    "relative": changed(action=CONTRACT.action.model_dump() | {"meaning": "relative_position"}),
    "off the grid": changed(rates=CONTRACT.rates.model_dump() | {"control_hz": 60.0}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    folder = tmp_path_factory.mktemp("lazy") / "episodes"
    for seconds in (0.6, 0.9, 0.5, 0.7):
        record(folder, seconds)
    return EpisodeStore(folder, CONTRACT)


@pytest.fixture(scope="module")
def episodes(store):
    return [store.load(name) for name in store.list()]


def whole(source: WindowSource) -> Windows:
    return Windows.joined(list(source.blocks(0)))


def same(found: Windows, wanted: Windows) -> None:
    for name, part in wanted._asdict().items():
        np.testing.assert_array_equal(getattr(found, name), part, err_msg=name)


def by_definition(contract: Contract, episode, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Chunks and padding of an episode, each chunk for itself."""
    command = episode.streams[contract.action.stream]
    begin, end = int(command.stamps_ns[0]), int(command.stamps_ns[-1])
    ticks = np.arange(begin, end + 1, contract.control_period_ns)
    space, chunks, is_pad = action_space(contract), [], []
    seen = replay_windows(contract, episode.streams, ticks, 1)
    for tick, window in zip(ticks, seen, strict=True):
        if window is None:
            continue
        times = tick + np.arange(horizon) * contract.policy_period_ns
        targets = [
            np.interp(np.minimum(times, end), command.stamps_ns, one)
            for one in command.fields["position"].T
        ]
        anchor = window.values[-1, contract.observed_joints]
        chunks.append(space.encode(np.stack(targets, axis=-1), anchor))
        is_pad.append(times > end)
    return np.array(chunks), np.array(is_pad)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_chunks_that_share_their_steps_are_what_they_are_by_definition(kind, episodes):
    contract = CONTRACTS[kind]
    found = windows_of(contract, episodes[1:2], 1, SIZES.horizon)
    chunks, is_pad = by_definition(contract, episodes[1], SIZES.horizon)
    np.testing.assert_array_equal(found.chunks, chunks)
    np.testing.assert_array_equal(found.is_pad, is_pad)
    assert 0 < is_pad.sum() < is_pad.size


@pytest.mark.parametrize("kind", CONTRACTS)
def test_what_comes_from_the_cache_is_what_memory_has(kind, store, episodes, tmp_path):
    contract = CONTRACTS[kind]
    wanted = windows_of(contract, episodes, *SIZES)
    for _ in range(2):  # made, then found
        source = cached_windows(store, store.list(), contract, SIZES, tmp_path)
        same(whole(source), wanted)
        assert len(source) == len(wanted.episode) and source.names == list(store.list())
    same(whole(in_memory(contract, episodes, *SIZES)), wanted)


def test_blocks_are_all_windows_in_order(store, episodes, tmp_path, monkeypatch):
    monkeypatch.setattr(window_source, "ROWS", 37)
    source = cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path)
    blocks = list(source.blocks(10**9))
    assert {len(block.episode) for block in blocks[:-1]} == {37}
    same(Windows.joined(blocks), windows_of(CONTRACT, episodes, *SIZES))
    some = windows_of(CONTRACT, episodes, *SIZES).of_episodes(np.array([1, 2]))
    same(Windows.joined(list(source.of(range(1, 3)).blocks(10**9))), some)


def test_what_was_decoded_is_not_decoded_again(store, tmp_path, monkeypatch):
    told = []
    cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path, lambda *one: told.append(one))
    assert told == [(done, 4) for done in range(5)]
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    monkeypatch.setattr(EpisodeStore, "load", lambda *_: pytest.fail("it was decoded again"))
    # what is kept of an episode does not depend on the horizon
    further = cached_windows(store, store.list(), CONTRACT, WindowSizes(2, 3), tmp_path)
    assert whole(further).chunks.shape[1] == 3
    reordered = cached_windows(store, store.list()[::-1], CONTRACT, SIZES, tmp_path)
    assert reordered.names == list(store.list())[::-1]
    assert sorted(tmp_path.iterdir()) == files


def test_another_contract_is_decoded_for_itself_where_that_matters(store, tmp_path):
    cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path)
    patient = changed(recording={"shortest_s": 9.0})
    cached_windows(store, store.list(), patient, SIZES, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    slower = changed(rates=CONTRACT.rates.model_dump() | {"control_hz": 50.0})
    source = cached_windows(store, store.list(), slower, SIZES, tmp_path)
    assert len(list(tmp_path.iterdir())) == 8
    fresh = [store.load(name) for name in store.list()]
    same(whole(source), windows_of(slower, fresh, *SIZES))


def test_other_code_is_as_well(store, tmp_path, monkeypatch):
    cached_windows(store, store.list()[:1], CONTRACT, SIZES, tmp_path)
    monkeypatch.setattr(window_cache, "_code", lambda: "other")
    cached_windows(store, store.list()[:1], CONTRACT, SIZES, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_entry_that_is_not_whole_is_made_anew(store, episodes, tmp_path):
    cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path)
    for path, length in zip(sorted(tmp_path.iterdir()), (0, 100, -8), strict=False):
        path.write_bytes(path.read_bytes()[:length])
    source = cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path)
    same(whole(source), windows_of(CONTRACT, episodes, *SIZES))


def test_processes_of_their_own_make_the_same(store, episodes, tmp_path, monkeypatch):
    monkeypatch.setattr(window_cache, "WORTH_PROCESSES", 1)
    source = cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path)
    same(whole(source), windows_of(CONTRACT, episodes, *SIZES))


def test_what_was_used_longest_ago_goes_first(store, tmp_path):
    first, *others = store.list()
    cached_windows(store, [first], CONTRACT, SIZES, tmp_path)
    (old,) = tmp_path.iterdir()
    (tmp_path / "left.1.part").write_bytes(b"by a process that was killed")
    for path, age in ((old, 1), (tmp_path / "left.1.part", 0)):
        os.utime(path, (age, age))
    cached_windows(store, others, CONTRACT, SIZES, tmp_path)
    used = sum(path.stat().st_size for path in tmp_path.iterdir()) - old.stat().st_size
    cached_windows(store, others, CONTRACT, SIZES, tmp_path, most_bytes=used)
    assert not (tmp_path / "left.1.part").exists() and not old.exists()
    cached_windows(store, others, CONTRACT, SIZES, tmp_path, most_bytes=0)
    assert len(list(tmp_path.iterdir())) == 3, "what is in use stays"


def test_what_cannot_be_learned_from_is_said(store, tmp_path):
    with pytest.raises(UserError, match="no episodes to learn from"):
        cached_windows(store, (), CONTRACT, SIZES, tmp_path)
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\).*VDD_CACHE"):
        (tmp_path / "file").touch()
        cached_windows(store, store.list(), CONTRACT, SIZES, tmp_path / "file" / "cache")


@pytest.mark.parametrize("already", [False, True])
def test_a_damaged_episode_is_refused_also_after_it_was_decoded(already, tmp_path):
    name = record(tmp_path / "episodes", 0.5)
    store = EpisodeStore(tmp_path / "episodes", CONTRACT)
    if already:
        cached_windows(store, [name], CONTRACT, SIZES, tmp_path / "cache")
    recording = tmp_path / "episodes" / name / f"{name}_0.mcap"
    recording.write_bytes(recording.read_bytes()[:-100])
    with pytest.raises(UserError, match="is truncated"):
        cached_windows(store, [name], CONTRACT, SIZES, tmp_path / "cache")


def fit_by_definition(observations, chunks, rank, rng, degree) -> dict[str, np.ndarray]:
    """The statistics of `Normalizer`, of all windows at once."""
    newest, difference = observations[:, -1], np.diff(observations, axis=1)
    newest_mean, newest_std = newest.mean(0), np.maximum(newest.std(0), STD_FLOOR)
    scales = (newest_mean, newest_std, np.maximum(difference.std(0), STD_FLOOR))
    products = newest.shape[1] if degree == 2 else 0
    shift = SHIFT_STD * rng.standard_normal((len(newest), 1, newest.shape[1]))
    shifted = terms_of(features(observations + shift, *scales), products)
    gram = shifted.T @ shifted + RIDGE * len(shifted) * np.eye(shifted.shape[1])
    reference = np.linalg.solve(gram, shifted.T @ chunks.reshape(len(chunks), -1))
    terms = terms_of(features(observations, *scales), products)
    relative = chunks - (terms @ reference).reshape(chunks.shape)
    chunk_mean, chunk_std = relative.mean(0), np.maximum(relative.std(0), STD_FLOOR)
    standardised = ((relative - chunk_mean) / chunk_std).reshape(len(chunks), -1)
    variance, directions = np.linalg.eigh(standardised.T @ standardised / len(chunks))
    largest = np.argsort(variance)[::-1][:rank]
    basis = directions[:, largest]
    left_out = standardised - standardised @ basis @ basis.T
    return {
        "newest_mean": newest_mean,
        "newest_std": newest_std,
        "difference_std": scales[2],
        "reference": reference,
        "chunk_mean": chunk_mean,
        "chunk_std": chunk_std,
        "basis": basis,
        "spread": np.maximum(np.sqrt(np.maximum(variance[largest], 0.0)), SPREAD_FLOOR),
        "remainder": left_out.T @ left_out / len(left_out),
        "action_mean": chunks.mean((0, 1)),
        "action_std": np.maximum(chunks.std((0, 1)), STD_FLOOR),
    }


@pytest.fixture(scope="module")
def numbers():
    """Windows of three joints that follow no law, (500, 2, 3) and (500, 4, 3)."""
    rng = np.random.default_rng(3)
    steps = rng.standard_normal((500, 6, 3)) @ rng.standard_normal((3, 3))
    return steps[:, :2], steps[:, 2:] + steps[:, :1]


@pytest.mark.parametrize("degree", [1, 2])
def test_statistics_of_what_fits_are_bit_for_bit_those_of_all_windows_at_once(numbers, degree):
    found = Normalizer.fit(*numbers, 5, np.random.default_rng(0), degree)
    for name, wanted in fit_by_definition(*numbers, 5, np.random.default_rng(0), degree).items():
        np.testing.assert_array_equal(getattr(found, name), wanted, err_msg=name)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_statistics_of_blocks_are_those_of_the_whole(numbers, degree):
    observations, chunks = numbers

    def blocks():
        for begin in range(0, 500, 70):
            yield observations[begin : begin + 70], chunks[begin : begin + 70]

    found = Normalizer.fit_blocks(blocks, 5, np.random.default_rng(0), degree)
    wanted = Normalizer.fit(*numbers, 5, np.random.default_rng(0), degree)
    for name in wanted.to_dict():
        if name not in ("format_version", "reference"):
            one, other = getattr(found, name), getattr(wanted, name)
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=name)
    # weights of products that are there twice share theirs in any way; what comes out is one
    one, other = (each.reference_chunk(observations) for each in (found, wanted))
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def trained(store, folder: Path, cache: Path):
    source = cached_windows(store, store.list(), CONTRACT, SMALL.sizes, cache)
    return train_teacher(CONTRACT, source, folder, SMALL, TRAINING, 1)


def test_training_from_disk_is_training_from_memory(store, episodes, tmp_path, monkeypatch):
    """The same batches in the same order: every weight is equal."""
    first = train_teacher(CONTRACT, episodes, tmp_path / "memory", SMALL, TRAINING, 1)
    monkeypatch.setattr(examples, "IN_MEMORY", 0)
    second = trained(store, tmp_path / "disk", tmp_path / "cache")
    assert not list(first.folder.glob("examples-*")) and list(second.folder.glob("examples-*"))
    weights, others = (load_file(one.folder / "weights.safetensors") for one in (first, second))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert (first.folder / "windows.safetensors").read_bytes() == (
        second.folder / "windows.safetensors"
    ).read_bytes()
    pools = [
        training_pool(one, PoolConfig(50, between=0.5), SamplerConfig("euler", 1), 0)
        for one in (first, second)
    ]
    for one, other in zip(*pools, strict=True):  # float64 was rounded once more in memory's
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3, equal_nan=True)


def test_a_training_that_is_taken_up_needs_no_cache(store, tmp_path, monkeypatch):
    source = cached_windows(store, store.list(), CONTRACT, SMALL.sizes, tmp_path / "cache")

    def emptied(*args, **more):
        for path in (tmp_path / "cache").iterdir():
            path.unlink()
        return real(*args, **more)

    real = learn.train
    monkeypatch.setattr(learn, "train", emptied)
    teacher = train_teacher(CONTRACT, source, tmp_path / "run", SMALL, TRAINING, 1)
    assert len(load_windows(teacher, held_out=True).episode)
    assert not list(teacher.folder.glob("state-*"))


def test_a_run_keeps_the_windows_it_was_trained_on_and_those_held_out(store, episodes, tmp_path):
    teacher = trained(store, tmp_path / "run", tmp_path / "cache")
    windows = windows_of(CONTRACT, episodes, *SMALL.sizes)
    for held_out, chosen in ((False, [0, 1, 2]), (True, [3])):
        wanted = windows.of_episodes(np.array(chosen))
        found = load_windows(teacher, held_out)
        np.testing.assert_array_equal(found.observations, wanted.observations.astype(np.float32))
        np.testing.assert_array_equal(found.chunks, wanted.chunks.astype(np.float32))
        np.testing.assert_array_equal(found.is_pad, wanted.is_pad)
        np.testing.assert_array_equal(found.episode, wanted.episode)
        stored = open_windows(teacher.folder, held_out)
        np.testing.assert_array_equal(
            stored.firsts(), np.unique(wanted.episode, return_index=True)[1]
        )
        some = stored.at_most(7)
        assert len(some.episode) == 7
        np.testing.assert_array_equal(some.chunks, found.chunks[np.arange(7) * len(stored) // 7])
        np.testing.assert_array_equal(stored.at(slice(3, 9)).chunks, found.chunks[3:9])
    assert len(training_data(teacher).z) == len(open_windows(teacher.folder, False))


def test_runs_that_kept_every_chunk_whole_are_read_the_same(store, tmp_path):
    teacher = trained(store, tmp_path / "run", tmp_path / "cache")
    parts = [load_windows(teacher, held_out) for held_out in (False, True)]
    both = Windows.joined(parts)
    is_held_out = np.repeat([False, True], [len(part.episode) for part in parts])
    tensors = {name: torch.tensor(part) for name, part in both.arrays.items()}
    save_file(
        tensors | {"is_held_out": torch.tensor(is_held_out)},
        teacher.folder / "windows.safetensors",
    )
    for held_out, wanted in zip((False, True), parts, strict=True):
        same(load_windows(load_teacher(teacher.folder), held_out), wanted)


def test_a_fingerprint_does_not_depend_on_how_much_is_looked_at_at_once(monkeypatch):
    numbers = torch.arange(100.0).reshape(50, 2)
    once = fingerprint({}, numbers, torch.tensor(3))
    monkeypatch.setattr("vdd_ros.policies.checkpoint.ROWS", 7)
    assert fingerprint({}, numbers, torch.tensor(3)) == once


def test_vdd_train_leaves_what_it_decoded_where_it_is_told_to(store, tmp_path):
    config = replace(SMALL, n_obs_steps=1)
    words = [
        "train", "--episodes", store.folder, "--out", tmp_path / "run", "--held-out", 1,
        "--teacher.width", config.width, "--teacher.blocks", 1, "--training.steps", 2,
        "--threads", 1, "--cache", tmp_path / "cache",
    ]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert json.loads((tmp_path / "run" / "run.json").read_text())["notes"]["held_out"]


def test_vdd_bench_loader_says_how_fast_and_how_little(capsys, tmp_path):
    words = ["bench", "loader", "--gigabytes", "0.1", "--batches", "2", "--blocks", "1", "--json"]
    assert cli.main([*words, "--folder", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["peak_mib"] - result["begin_mib"] < result["file_mib"] / 2
    assert [row["name"] for row in result["rows"]] == [
        "arrays in memory", "file, warm", "file, cold", "training uses up",
    ]  # fmt: skip
    assert all(row["samples_per_s"] > 0 for row in result["rows"])
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["bench", "loader", "--batches", "0"]) == 2
