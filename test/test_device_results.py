"""What was measured or built on one computer counts there, for that bundle, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vdd_ros.device import Device, this_device
from vdd_ros.device_results import DeviceResults, read_result
from vdd_ros.environment import device_results_folder
from vdd_ros.sealed_folder import Refused
from vdd_ros.signature import make_keys, read_trusted

DEVICE = Device(model="Jetson", machine="aarch64", processor="A78", cores=6, unit="one")
BUNDLE, OTHER_BUNDLE = "a" * 64, "b" * 64
MADE = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def results(tmp_path) -> DeviceResults:
    return DeviceResults(tmp_path, BUNDLE, DEVICE)


def test_what_is_written_is_found(results):
    results.write("engine-1", {"precision": "fp16"}, MADE, {"engine.plan": b"plan"})
    found = results.find("engine-1")
    assert found.facts == {"precision": "fp16"} and found.read("engine.plan") == b"plan"
    assert results.names() == ["engine-1"] and results.find("engine-2") is None
    assert found.folder == results.root / BUNDLE / DEVICE.key / "engine-1"
    results.write("engine-1", {"precision": "fp32"}, MADE)
    assert results.find("engine-1").facts == {"precision": "fp32"}
    assert [path.name for path in results.folder.iterdir()] == ["engine-1"]


@pytest.mark.parametrize(
    "other",
    [
        DeviceResults(None, OTHER_BUNDLE, DEVICE),
        DeviceResults(None, BUNDLE, DEVICE.model_copy(update={"unit": "two"})),
        DeviceResults(None, BUNDLE, DEVICE.model_copy(update={"accelerator": "Orin"})),
    ],
    ids=["bundle", "unit", "accelerator"],
)
def test_copied_into_another_ones_place_it_is_refused(results, tmp_path, other):
    results.write("latency", {"p50_us": 40.0}, MADE)
    other = other._replace(root=tmp_path)
    assert other.find("latency") is None
    shutil.copytree(results.folder, other.folder)
    with pytest.raises(Refused, match="make it anew here") as refused:
        other.find("latency")
    assert refused.value.check == "device"
    assert read_result(other.folder / "latency").facts == {"p50_us": 40.0}


@pytest.mark.parametrize(
    ("name", "data", "check"),
    [
        ("engine.plan", b"another plan", "files"),
        ("result.json", b"{}", "manifest"),
        ("notes.txt", b"nobody asked", "files"),
    ],
)
def test_a_damaged_one_is_refused(results, name, data, check):
    folder = results.write("engine-1", {}, MADE, {"engine.plan": b"plan"}).folder
    (folder / name).write_bytes(data)
    with pytest.raises(Refused) as refused:
        results.find("engine-1")
    assert refused.value.check == check


def test_what_is_changed_after_it_was_found_is_not_given(results):
    found = results.write("engine-1", {}, MADE, {"engine.plan": b"plan"})
    (found.folder / "engine.plan").write_bytes(b"evil")
    with pytest.raises(Refused, match="engine.plan is damaged or edited"):
        found.read("engine.plan")


def test_it_has_a_signature_of_its_own(results, tmp_path):
    make_keys(tmp_path / "key", tmp_path / "key.pub")
    trusted = read_trusted(tmp_path / "key.pub")
    results.write("latency", {}, MADE)
    with pytest.raises(Refused, match="is not signed"):
        results.find("latency", trusted)
    results.write("latency", {}, MADE, key=tmp_path / "key")
    assert results.find("latency", trusted).signer.trusted


def test_a_name_that_leads_elsewhere_is_none(results):
    results.write("latency", {}, MADE)
    with pytest.raises(Refused):
        results.find("../" + results.folder.name + "/latency")


def test_this_computer_is_known_again():
    here = this_device()
    assert here == this_device() and here.cores >= 1 and here.processor
    assert here.key != this_device("Orin").key and "/" not in here.key


def test_they_lie_where_their_user_said(monkeypatch):
    for name in ("VDD_DEVICE_RESULTS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/otter")
    assert device_results_folder() == Path("/home/otter/.local/share/vdd_ros/device_results")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert device_results_folder() == Path("/data/vdd_ros/device_results")
    monkeypatch.setenv("VDD_DEVICE_RESULTS", "/results")
    assert device_results_folder() == Path("/results")
