"""First sight of datasets: a declaration is begun, and nothing in it guessed."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from exported_data import (
    episodes_in,
    foreign_messages,
    lerobot_dataset,
    refused,
    robomimic_file,
    swinging_contract,
    taken,
    vdd,
    write_bag,
)
from foreign_data import g1

from vdd_ros.contract import Contract


@pytest.fixture(scope="module")
def contract() -> Contract:
    return swinging_contract()


@pytest.mark.parametrize("kind", ["lerobot", "robomimic", "rosbag2"])
def test_what_is_seen_begins_a_declaration_that_is_no_guess(tmp_path, contract, capsys, kind):
    if kind == "lerobot":
        path = lerobot_dataset(tmp_path / "made").with_name("d")
        expected, out = "left_shoulder_pitch_joint", g1()[1]
    elif kind == "robomimic":
        path, expected, out = robomimic_file(tmp_path, contract), "actions[6]", contract
    else:
        path = write_bag(tmp_path / "bag", "mcap", foreign_messages(contract, seconds=1.0))
        expected, out = "arm/panda_joint1", contract
    (tmp_path / "begun").mkdir()
    begun = tmp_path / "begun" / "source.yaml"
    assert vdd("dataset", "look", path, "--out", begun, "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert expected in told["declaration"] and told["declaration"] == begun.read_text()
    raw = yaml.safe_load(begun.read_text())
    assert len(raw["channels"]) == {"lerobot": 26, "robomimic": 7, "rosbag2": 8}[kind]
    assert {channel["state"]["unit"] for channel in raw["channels"]} == {"???"}
    refused(tmp_path, out, begun, path, capsys, r"is left open \(\?\?\?\)")


def test_a_declaration_that_was_begun_and_filled_in_reads_the_dataset(tmp_path):
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(g1()[1].to_dict()))
    begun, path = tmp_path / "source.yaml", lerobot_dataset(tmp_path / "made").with_name("d")
    words = ["--contract", tmp_path / "contract.yaml", "--out", begun]
    assert vdd("dataset", "look", path, *words) == 0
    raw = yaml.safe_load(begun.read_text())
    raw |= {"task": "pick", "origin": {"url": "x", "version": "1", "licence": "MIT"}}
    for at, channel in enumerate(raw["channels"]):
        channel["state"]["unit"] = "rad" if at < 14 else "fraction"
    begun.write_text(yaml.safe_dump(raw))
    assert taken(tmp_path, g1()[1], begun, path) == 0
    assert len(episodes_in(tmp_path / "episodes")) == 2


@pytest.mark.parametrize("name", ["nothing", "notes.txt", "empty"])
def test_what_no_reader_knows_is_told(tmp_path, capsys, name):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    assert vdd("dataset", "look", tmp_path / name) == 2
    assert re.search(
        "there is nothing at|is none of what is read|holds no rosbag2", capsys.readouterr().err
    )
