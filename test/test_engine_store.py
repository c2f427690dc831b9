"""Engines are given back for exactly what they were built of, and never when others could have
written them."""

from __future__ import annotations

import json
import stat

import pytest

from vdd_ros.device import Device
from vdd_ros.device_results import RESULT, DeviceResults
from vdd_ros.engine_identity import EngineIdentity, Gpu
from vdd_ros.engine_store import LOG, PLAN, EngineStore
from vdd_ros.errors import UserError

DEVICE = Device(model="Jetson", machine="aarch64", processor="A78", cores=6, unit="one")
GPU = Gpu(tensorrt="10.3.0", compute_capability="8.7", driver="CUDA 12.6", device="Orin")
WANTED = EngineIdentity.of(b"graph", "fp16", GPU)
NEWER = EngineIdentity.of(b"graph", "fp16", GPU.model_copy(update={"driver": "CUDA 12.8"}))
OTHER = EngineIdentity.of(b"another", "fp32", NEWER.built_on)
MADE = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def store(tmp_path) -> EngineStore:
    return EngineStore(DeviceResults(tmp_path, "a" * 64, DEVICE))


def keep(store: EngineStore, identity: EngineIdentity) -> None:
    store.write(identity, b"plan of " + identity.key.encode(), b"log", {"parity": 0.1}, MADE)


def test_an_engine_is_found_by_what_it_was_built_of(store):
    for one in (OTHER, WANTED):
        keep(store, one)
    assert store.plan(WANTED) == b"plan of " + WANTED.key.encode()
    assert sorted(one.key for one in store.identities()) == sorted([WANTED.key, OTHER.key])
    (folder,) = store.results.folder.glob(f"*{WANTED.key}")
    assert {path.name for path in folder.iterdir()} == {PLAN, LOG, RESULT}


def test_without_any_it_is_told_how_to_build_one(store):
    with pytest.raises(UserError, match="no engine in .* for .*: build it here, with vdd export"):
        store.plan(WANTED)


def test_the_nearest_one_is_told_with_what_differs(store):
    for one in (OTHER, NEWER):
        keep(store, one)
    with pytest.raises(UserError, match=f"nearest one is for {NEWER}, which differs in driver: "):
        store.plan(WANTED)


def test_one_in_the_place_of_another_is_not_run(store, monkeypatch):
    """As two identities would be whose keys are the same."""
    keep(store, NEWER)
    monkeypatch.setattr(EngineIdentity, "key", NEWER.key)
    with pytest.raises(UserError, match=f"is of {NEWER}; wanted is {WANTED}: remove it and build"):
        store.plan(WANTED)


def test_one_that_does_not_say_what_it_is_of_is_not_run(store):
    store.results.write(f"engine-{WANTED.key}", {"identity": {"precision": "fp16"}}, MADE)
    with pytest.raises(UserError, match="does not say what its engine was built of: remove it"):
        store.plan(WANTED)


def test_what_is_damaged_or_none_is_not_among_those_that_are_there(store):
    for one in (WANTED, NEWER):
        keep(store, one)
    store.results.write("latency", {"p50_us": 40.0}, MADE)
    store.results.write("engine-unknown", {"identity": 3}, MADE)
    path = store.results.folder / f"engine-{NEWER.key}" / RESULT
    path.write_text(json.dumps(json.loads(path.read_text()) | {"facts": {}}))
    assert [one.key for one in store.identities()] == [WANTED.key]


@pytest.mark.parametrize("name", [".", PLAN, RESULT])
def test_what_anyone_may_write_is_not_run(store, name):
    keep(store, WANTED)
    path = store.results.folder / f"engine-{WANTED.key}" / name
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(UserError, match="may have been written by someone else .owner"):
        store.plan(WANTED)
