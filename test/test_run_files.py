"""Run folders that are damaged, or of something else: each is told in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.checkpoint import Run, save_run
from vdd_ros.policies.runs import load_any_student, load_teacher
from vdd_ros.policies.teacher import TeacherConfig, make_teacher

Change = Callable[[dict[str, Any]], object]
HORIZON = 4


def write_teacher(folder: Path, contract: Contract) -> None:
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(60, 2, contract.n_joints)).cumsum(1)
    chunks = windows[:, -1:] + rng.normal(size=(60, HORIZON, contract.n_joints)).cumsum(1)
    normalizer = Normalizer.fit(windows, chunks, contract.n_joints, rng)
    config = TeacherConfig(horizon=HORIZON, width=16, blocks=1)
    denoiser = make_teacher(config, *normalizer.sizes)
    run = Run("teacher", {"teacher": asdict(config)}, contract, normalizer, {"held_out": ["a"]})
    save_run(folder, run, denoiser.state_dict())


@pytest.fixture
def folder(tmp_path, contract) -> Path:
    write_teacher(tmp_path / "run", contract)
    return tmp_path / "run"


def refused(load: Callable[[Path], object], folder: Path, pattern: str) -> None:
    with pytest.raises(UserError, match=pattern) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)


def test_what_was_saved_is_read_back(folder, contract):
    found = load_teacher(folder)
    assert found.contract == contract and found.config.horizon == HORIZON
    assert found.notes == {"held_out": ["a"]}


DAMAGED = {
    "half of it": b'{"format_version": 1, "ki',
    "no text": b"\xff\xfe",
    "a list": b"[1, 2]",
    "deeper than anyone writes": b"[" * 200_000,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_description_that_is_none_is_told(name, folder):
    (folder / "run.json").write_bytes(DAMAGED[name])
    refused(load_teacher, folder, "run.json is damaged .*; train anew")


CHANGED: dict[str, tuple[Change, str]] = {
    "newer": (
        lambda raw: raw.update(format_version=2),
        "has format version 2, this program reads 1; train anew",
    ),
    "a student": (
        lambda raw: raw.update(kind="student"),
        "run holds a student, name a teacher instead",
    ),
    "half of it": (
        lambda raw: [raw.pop(name) for name in ("configs", "normalizer")],
        "run.json lacks configs, normalizer; train anew",
    ),
    "another contract": (lambda raw: raw["contract"].pop("joints"), "missing 'joints'"),
    "no settings": (
        lambda raw: raw.update(configs=[]),
        "run.json is damaged .configs is no map of keys.; train anew",
    ),
    "settings of nothing": (
        lambda raw: raw["configs"].clear(),
        "run.json is damaged .lacks 'teacher'.; train anew",
    ),
    "an unknown setting": (
        lambda raw: raw["configs"]["teacher"].update(colour="blue"),
        "run.json is damaged .*colour.*; train anew",
    ),
    "no normalizer": (
        lambda raw: raw.update(normalizer=[]),
        "run.json is damaged .normalizer is no map of keys.; train anew",
    ),
    "half a normalizer": (
        lambda raw: raw["normalizer"].pop("newest_mean"),
        "normalizer lacks newest_mean; make the checkpoint or bundle anew",
    ),
    "numbers that are none": (
        lambda raw: raw["normalizer"].update(newest_mean=["a"]),
        "run.json is damaged .could not convert string to float: 'a'.; train anew",
    ),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_description_of_something_else_is_told(name, folder):
    change, pattern = CHANGED[name]
    raw = json.loads((folder / "run.json").read_text())
    change(raw)
    (folder / "run.json").write_text(json.dumps(raw))
    refused(load_teacher, folder, pattern)


def test_a_teacher_is_no_student(folder):
    refused(load_any_student, folder, "run holds a teacher, name a student instead")


def test_a_folder_without_a_run_is_told(tmp_path):
    refused(load_teacher, tmp_path, "no run at .*: name a folder that `vdd train` or")


def test_weights_that_are_missing_damaged_or_of_another_network_are_told(folder):
    path = folder / "weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(load_teacher, folder, "weights.safetensors is damaged .*; train anew")
    path.unlink()
    refused(load_teacher, folder, "weights.safetensors is missing; train anew")
    path.write_bytes(whole)
    raw = json.loads((folder / "run.json").read_text())
    raw["configs"]["teacher"]["width"] = 32
    (folder / "run.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match="do not fit their own configuration"):
        load_teacher(folder)
