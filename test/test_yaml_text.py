"""YAML of anybody: what it says, and files that would take a program down."""

from __future__ import annotations

import os

import pytest
import yaml

from vdd_ros import kinematic_model
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.yaml_text import LARGEST_BYTES, LONGEST_NUMBER, MOST_VALUES, load_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12)
)


@pytest.mark.parametrize("name", ["panda_avoid.yaml", "panda_hand.yaml", "g1_bottle.yaml"])
def test_what_a_file_says_is_what_it_says_to_everybody(contract_path, name):
    text = (contract_path.parent / name).read_text()
    assert load_yaml(text) == yaml.safe_load(text)


def test_aliases_and_merged_maps_may_be_written():
    text = "of_all: &all {velocity: 2.0, jerk: 9.0}\njoint: {<<: *all, velocity: 1.0}\nagain: *all"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, f"stands for more than {MOST_VALUES} values"),
        (MERGED, f"stands for more than {MOST_VALUES} values"),
        ("a: &a [*a]", "contains itself"),
        ("a: " + "[" * 20_000, "nests too deeply"),
        ("{a: " * 20_000, "nests too deeply"),
        ("a: " + "9" * 100_000, f"more than {LONGEST_NUMBER} digits"),
        ("a: 0x" + "f" * 1_000_000, f"more than {LONGEST_NUMBER} digits"),
        ("a: 1" + ":1" * 100_000, f"more than {LONGEST_NUMBER} digits"),
        ("a: 1." + "0" * 1_000, f"more than {LONGEST_NUMBER} digits"),
        ("a: 2001-13-45", "month must be in 1..12"),
        ("a: 1\nb: {c: 2, c: 3}", "the key 'c' is there twice"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: \0", "special characters are not allowed"),
        ("a: 1\n---\na: 2", "expected a single document"),
    ],
    ids=lambda value: f"{value[:12]!r}",
)
def test_a_hostile_text_is_refused_in_one_line(text, told):
    with pytest.raises(ValueError) as refused:
        load_yaml(text)
    assert told in str(refused.value) and "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_where_a_mistake_is_and_where_what_it_is_in_begins():
    with pytest.raises(ValueError) as refused:
        load_yaml("a: 1\nb: {c: 1\nd: 2\n")
    assert str(refused.value) == (
        "line 3, column 2: expected ',' or '}', but got ':', "
        "while parsing a flow mapping from line 2, column 4 on"
    )


def test_a_contract_is_read_no_further_than_it_may_be_long(tmp_path, contract_path):
    path = tmp_path / "contract.yaml"
    path.write_text(contract_path.read_text() + "#" * LARGEST_BYTES)
    with pytest.raises(UserError, match=f"at most {LARGEST_BYTES} are read"):
        Contract.from_yaml(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="no regular file"):
        Contract.from_yaml(path)


def test_a_file_that_extends_itself_by_another_name_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "contract.yaml").write_text("extends: ../a/contract.yaml\n")
    with pytest.raises(UserError, match="extends itself"):
        Contract.from_yaml(tmp_path / "a" / "contract.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<mujoco>" + "<body>" * 100_000 + "</body>" * 100_000 + "</mujoco>", "nests more than"),
        ("<mujoco>" + " " * kinematic_model.LARGEST_BYTES + "</mujoco>", "at most"),
        (
            "<!DOCTYPE robot [<!ENTITY a0 'xxxxxxxxxx'>"
            + "".join(f"<!ENTITY a{k} '{f'&a{k - 1};' * 10}'>" for k in range(1, 10))
            + "]><robot name='&a9;'/>",
            "declares a document type",
        ),
    ],
    ids=["deep", "long", "entities"],
)
def test_a_hostile_model_of_an_arm_is_refused(tmp_path, contract_path, text, told):
    (tmp_path / "model.xml").write_text(text)
    (tmp_path / "contract.yaml").write_text(
        f"extends: {contract_path}\n"
        "action: {name: tool_pose_target, meaning: tool_pose}\n"
        "kinematics: {model: model.xml, tools: [{frame: tool, joints: [panda_joint1]}]}\n"
    )
    with pytest.raises(UserError, match=told):
        Contract.from_yaml(tmp_path / "contract.yaml")
