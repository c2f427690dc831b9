"""Files of robomimic's layout become episodes; bad ones end in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from exported_data import (
    episodes_in,
    refused,
    robomimic_declaration,
    robomimic_file,
    swinging,
    swinging_contract,
    taken,
)

from vdd_ros.contract import Contract


@pytest.fixture(scope="module")
def contract() -> Contract:
    return swinging_contract(20.0)


def test_robomimic_files_of_others_become_episodes(tmp_path, contract):
    path = robomimic_file(tmp_path, contract)
    source = robomimic_declaration(tmp_path, contract)
    assert taken(tmp_path, contract, source, path) == 0
    episodes = episodes_in(tmp_path / "episodes")
    assert [one.manifest.meta["success"] for one in episodes] == [False, True]
    for at, episode in enumerate(episodes):
        times_s = at + np.arange(50) / 20.0
        np.testing.assert_allclose(
            episode.streams["robot_command"].fields["position"],
            swinging(times_s + 0.05, contract),
            atol=1e-12,
        )
        assert episode.manifest.meta["not_read"] == ["actions", "obs/robot0_gripper_qpos"]
        assert "no times: frames are taken for 20 Hz" in episode.manifest.meta["findings"]


def test_a_filter_key_chooses_demonstrations(tmp_path, contract):
    path = robomimic_file(tmp_path, contract)
    source = robomimic_declaration(tmp_path, contract, format={"mask": "train"})
    assert taken(tmp_path, contract, source, path) == 0
    (episode,) = episodes_in(tmp_path / "episodes")
    assert episode.manifest.meta["recording"] == "demo_10"


def rows_missing(file):
    values = file["data/demo_0/obs/robot0_joint_pos"][5:]
    del file["data/demo_0/obs/robot0_joint_pos"]
    file["data/demo_0/obs/robot0_joint_pos"] = values


def samples_miscounted(file):
    file["data/demo_0"].attrs["num_samples"] = 49


def key_missing(file):
    del file["data/demo_10/next_obs"]


def joint_more(file):
    values = np.pad(file["data/demo_0/obs/robot0_joint_pos"][()], ((0, 0), (0, 1)))
    del file["data/demo_0/obs/robot0_joint_pos"]
    file["data/demo_0/obs/robot0_joint_pos"] = values


def texts(file):
    del file["data/demo_0/obs/robot0_joint_pos"]
    file["data/demo_0/obs/robot0_joint_pos"] = np.array([[b"cos"] * 7] * 50)


def another_env(file):
    file["data"].attrs["env_args"] = json.dumps({"env_name": "Can"})


def another_control_rate(file):
    file["data"].attrs["env_args"] = json.dumps(
        {"env_name": "Lift", "env_kwargs": {"control_freq": 10}}
    )


def env_damaged(file):
    file["data"].attrs["env_args"] = "{"


def somewhere_else(file):
    with h5py.File(Path(file.filename).with_name("other.hdf5"), "w") as other:
        other["values"] = np.zeros((50, 7))
    del file["data/demo_0/obs/robot0_joint_pos"]
    file["data/demo_0/obs/robot0_joint_pos"] = h5py.ExternalLink("other.hdf5", "values")


def enormous(file):
    del file["data/demo_0/obs/robot0_joint_pos"]
    file["data/demo_0/obs"].create_dataset(
        "robot0_joint_pos", (1 << 32, 7), dtype="f8", chunks=(1 << 10, 7), compression="gzip"
    )


def not_a_number(file):
    file["data/demo_10/obs/robot0_joint_pos"][7, 2] = np.nan


ROBOMIMIC = {
    rows_missing: r"demo_0: next_obs/robot0_joint_pos has 50 rows, others have 45",
    samples_miscounted: r"demo_0: .* has 50 rows, num_samples is 49",
    key_missing: r"demo_10 lacks 'next_obs/robot0_joint_pos'",
    joint_more: r"demo_0: obs/robot0_joint_pos has 8 numbers: not declared \[7\]",
    texts: r"demo_0: obs/robot0_joint_pos is \|S3",
    another_env: r"env_args say env_name 'Can', the source declares 'Lift'",
    another_control_rate: r"control_freq 10, the source declares rate_hz 20",
    env_damaged: r"attribute env_args of 'data' is damaged",
    somewhere_else: r"obs/robot0_joint_pos lies in another file",
    enormous: r"obs/robot0_joint_pos would take \d+ MiB",
    not_a_number: r"demo_10: state obs/robot0_joint_pos\[2\] of frame 7 is nan",
}


@pytest.mark.parametrize("spoil", ROBOMIMIC, ids=lambda spoil: spoil.__name__)
def test_a_bad_robomimic_file_is_told_in_one_sentence(tmp_path, contract, capsys, spoil):
    path = robomimic_file(tmp_path, contract)
    with h5py.File(path, "r+") as file:
        spoil(file)
    source = robomimic_declaration(tmp_path, contract)
    refused(tmp_path, contract, source, path, capsys, ROBOMIMIC[spoil])


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"format": {"mask": "test"}}, "no filter key 'test', there are: train"),
        ({"episodes": 3}, "holds 2 demonstrations, the source declares 3"),
        ({"format": {"times": "stamps"}}, "lacks 'stamps'"),
    ],
)
def test_a_robomimic_declaration_that_does_not_fit_is_told(
    tmp_path, contract, capsys, changes, pattern
):
    path = robomimic_file(tmp_path, contract)
    source = robomimic_declaration(tmp_path, contract, **changes)
    refused(tmp_path, contract, source, path, capsys, pattern)
