"""Checkpoints of others that are damaged, cut short or of something else: each in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_checkpoints import (
    ACTIONS,
    diffusion_policy_config,
    lerobot_config,
    write_diffusion_policy,
    write_lerobot,
)
from safetensors.torch import load_file, save_file

from vdd_ros.errors import UserError
from vdd_ros.policies.foreign import read_checkpoint
from vdd_ros.policies.foreign.checkpoint import MOST_JSON, MOST_WEIGHTS

Change = Callable[[Path], object]
CONFIG, WEIGHTS, PRE = "config.json", "model.safetensors", "policy_preprocessor.json"
STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
BUFFER = "unnormalize_outputs.buffer_action"


def without(raw: dict, name: str) -> dict:
    return {key: value for key, value in raw.items() if key != name}


def text(file: str, content: str) -> Change:
    return lambda folder: (folder / file).write_text(content)


def gone(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def long(file: str, length: int) -> Change:
    """A file of that length, which takes no room on the disk."""

    def change(folder: Path) -> None:
        with (folder / file).open("r+b") as opened:
            opened.truncate(length)

    return change


def config(**changes: object) -> Change:
    return text(CONFIG, json.dumps(lerobot_config(**changes)))


def tensors(file: str, act: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def change(folder: Path) -> None:
        found = load_file(folder / file)
        act(found)
        save_file(found, folder / file)

    return change


def step(**changes: object) -> Change:
    """Of the step that normalises."""

    def change(folder: Path) -> None:
        told: dict[str, Any] = json.loads((folder / PRE).read_text())
        told["steps"][1] |= changes
        (folder / PRE).write_text(json.dumps(told))

    return change


FEATURES = lerobot_config()["input_features"]
SQUARE = {"observation.state": {"type": "STATE", "shape": [3, 3]}}
KEYS = {"observation.state": ["observation.state"]}
NEW: dict[str, tuple[Change, str]] = {
    "not JSON": (text(CONFIG, "{"), "config.json is damaged .*: restore it"),
    "no text": (lambda at: (at / CONFIG).write_bytes(b"\xff\xfe"), "config.json is damaged"),
    "a list": (text(CONFIG, "[]"), "config.json is no map of keys: restore the file"),
    "endless": (long(CONFIG, MOST_JSON + 1), "config.json is larger than 1048576 bytes"),
    "lacks a key": (
        text(CONFIG, json.dumps(without(lerobot_config(), "kernel_size"))),
        "has no 'kernel_size': restore the file",
    ),
    "no sizes": (config(down_dims=[]), r"down_dims is \[\], which are no sizes"),
    "sizes below one": (config(down_dims=[8, 0]), r"down_dims is \[8, 0\], which are no sizes"),
    "a word for a number": (config(kernel_size="5"), "kernel_size is '5', which is no int"),
    "no finite number": (config(beta_end=float("inf")), "beta_end is inf, which is no float"),
    "a table is observed": (
        config(input_features=FEATURES | SQUARE),
        r"has shape \[3, 3\], read is one list of numbers",
    ),
    "nothing is observed": (config(input_features={}), "input_features has no observation.state"),
    "no weights": (gone(WEIGHTS), "model.safetensors is missing: copy the whole folder"),
    "weights cut short": (long(WEIGHTS, 100), "model.safetensors is damaged .*: restore it"),
    "endless weights": (long(WEIGHTS, MOST_WEIGHTS + 1), "is larger than 4 GiB: name another"),
    "weights that are none": (
        tensors(WEIGHTS, lambda found: next(iter(found.values())).fill_(float("nan"))),
        "weights that are no finite numbers",
    ),
    "no pipeline": (gone("policy_postprocessor.json"), "policy_postprocessor.json is missing"),
    "statistics elsewhere": (step(state_file="../x.safetensors"), "no file beside it: restore it"),
    "normalises a part": (
        step(config={"norm_map": {}, "normalize_observation_keys": KEYS}),
        "normalises some observations only",
    ),
    "lacks statistics": (
        tensors(STATE, lambda found: found.pop("observation.state.max")),
        "has no observation.state.max, without which its units are unknown",
    ),
    "a range below zero": (
        tensors(STATE, lambda found: found["observation.state.max"].fill_(-9.0)),
        "observation.state has a range or deviation below zero",
    ),
    "endless statistics": (
        tensors(STATE, lambda found: found["observation.state.max"].fill_(float("inf"))),
        "observation.state.max is .*, not 4 finite numbers",
    ),
}


def refused(folder: Path, pattern: str) -> None:
    with pytest.raises(UserError, match=pattern) as refusal:
        read_checkpoint(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", NEW)
def test_what_is_wrong_with_lerobots_files_is_told(name, tmp_path):
    change, pattern = NEW[name]
    write_lerobot(tmp_path / "theirs", True)
    assert read_checkpoint(tmp_path / "theirs").parts
    change(tmp_path / "theirs")
    refused(tmp_path / "theirs", pattern)


def test_statistics_within_the_model_are_asked_for_as_well(tmp_path):
    write_lerobot(tmp_path / "theirs", False)
    tensors(WEIGHTS, lambda found: found.pop(f"{BUFFER}.min"))(tmp_path / "theirs")
    refused(tmp_path / "theirs", f"has no {BUFFER}.min")


def test_what_was_not_normalised_keeps_its_numbers(tmp_path):
    modes = {"STATE": "MIN_MAX", "ENV": "IDENTITY", "ACTION": "IDENTITY"}
    write_lerobot(tmp_path / "theirs", True, normalization_mapping=modes)
    found = read_checkpoint(tmp_path / "theirs")
    assert found.action.scale.tolist() == [1.0] * ACTIONS
    assert found.action.centre.tolist() == [0.0] * ACTIONS
    assert set(found.seen.scale.tolist()[-found.parts["observation.environment_state"] :]) == {1.0}


def noise_of(**changes: object) -> Change:
    def change(folder: Path) -> None:
        told = diffusion_policy_config()
        told["policy"]["noise_scheduler"] |= changes
        (folder / "diffusion_policy.json").write_text(json.dumps(told))

    return change


ZERO = "normalizer.params_dict.action.scale"
OTHERS: dict[str, tuple[Change, str]] = {
    "scheduler": (noise_of(_target_="diffusers.EulerScheduler"), "is a diffusers.EulerScheduler"),
    "levels": (noise_of(num_train_timesteps=1), "of 2 to 100000"),
    "scaled by nothing": (
        tensors(WEIGHTS, lambda found: found[ZERO].fill_(0.0)),
        "action.scale has a zero, which nothing was scaled by",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_wrong_with_diffusion_policys_files_is_told(name, tmp_path):
    change, pattern = OTHERS[name]
    write_diffusion_policy(tmp_path / "theirs")
    assert read_checkpoint(tmp_path / "theirs").parts == {"obs": 7}
    change(tmp_path / "theirs")
    refused(tmp_path / "theirs", pattern)


def test_a_folder_of_something_else_is_told_what_is_read(tmp_path):
    refused(tmp_path, "is no checkpoint that is read: name a folder of LeRobot's with config.json")
