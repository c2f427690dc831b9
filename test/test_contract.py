"""The contract: what is refused, in which words, and what its hashes cover."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from raw_contracts import changed

from vdd_ros import cli
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

REFUSED = {
    "unknown key": ("joints.0.colour", "red", ["unknown key 'joints.0.colour'", "remove it"]),
    "a misspelt key": (
        "joints.0",
        {"name": "j", "unit": "rad", "lower": -1, "upper": 1, "velocty": 1, "acceleration": 1},
        ["unknown key 'joints.0.velocty'; write 'velocity'"],
    ),
    "no map": ("frames", "base", ["frames is no map of keys (found 'base'); write one"]),
    "missing limit": ("joints.2.velocity", None, ["missing 'joints.2.velocity'", "mandatory"]),
    "degrees": ("joints.1.upper", 166.0, ["joints.1", "look like degrees", "write radians"]),
    "degrees a second": ("joints.1.velocity", 124.6, ["joints.1", "look", "radians per second"]),
    "no name": ("name", "My arm", ["name: a name is of small letters", "such as left_arm (found"]),
    "no topic": ("e_stop_topic", "/e-stop", ["e_stop_topic: a topic is words of letters"]),
    "an unfinished topic": ("streams.joint_state.topic", "/a/", ["such as /arm/joint_states"]),
    "no limit at all": ("joints.1.upper", float("inf"), ["joints.1.upper", "finite"]),
    "limits the wrong way": ("joints.1.lower", 5.0, ["joints.1", "is not below upper"]),
    "no velocity": ("joints.3.velocity", 0.0, ["joints.3.velocity", "greater than 0"]),
    "wrong length": ("joints", [], ["joints", "at least 1 item"]),
    "a name twice": ("joints.1.name", "panda_joint1", ["joint names repeat"]),
    "another unit": ("joints.0.unit", "deg", ["joints.0.unit", "'rad', 'm' or 'fraction'", "deg"]),
    "a stream that is not there": ("action.stream", "no_stream", ["'no_stream'", "declared are"]),
    "no joint states": ("streams.joint_state", None, ["joint_state"]),
    "a future version": ("format_version", 2, ["format_version", "found 2"]),
}


@pytest.mark.parametrize(("place", "value", "said"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_contract_ends_in_one_sentence_and_exit_code_2(
    contract_path, tmp_path, capsys, place, value, said
):
    raw = yaml.safe_load(contract_path.read_text())
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(changed(raw, place, value)))
    assert cli.main(["contract", "show", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(f"vdd: {path}: ")
    for words in said:
        assert words in printed.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("joints: [", "is not a readable YAML file: line 1, column 10: expected"),
        ("- 1\n- 2\n", ": this is no map of keys (found [1, 2]); name another file"),
        ("", ": this is no map of keys (found None); name another file"),
        ("\xff", " is no text in UTF-8: name a YAML file"),
    ],
)
def test_what_is_no_contract_at_all_is_refused(tmp_path, text, told):
    path = tmp_path / "contract.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=str(path)) as refused:
        Contract.from_yaml(path)
    assert told in str(refused.value)


def test_a_folder_is_no_contract(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\): name a YAML file"):
        Contract.from_yaml(tmp_path)


def test_a_long_name_of_a_joint_is_shown_whole(tmp_path, contract_path, capsys):
    name = "shoulder_lift_joint_of_the_left"
    path = tmp_path / "contract.yaml"
    path.write_text(contract_path.read_text().replace("panda_joint1", name))
    assert cli.main(["contract", "show", str(path)]) == 0
    assert name in capsys.readouterr().out


def test_beyond_is_outside_the_limits_by_more_than_a_share_of_the_range(contract):
    lower, upper = contract.limit("lower"), contract.limit("upper")
    np.testing.assert_allclose(contract.span, upper - lower)
    positions = np.stack([lower, upper, lower - 0.05 * contract.span, upper + 0.2 * contract.span])
    assert contract.beyond(positions).all(axis=1).tolist() == [False, False, True, True]
    assert contract.beyond(positions, 0.1).all(axis=1).tolist() == [False, False, False, True]
    assert not contract.beyond(positions, 0.1)[:3].any()


def test_a_contract_survives_being_written_down(contract):
    assert Contract.from_dict(contract.to_dict()) == contract


@pytest.mark.parametrize(
    ("place", "value", "ties_the_policy"),
    [
        ("joints.0.name", "another_joint", True),
        ("joints.0.unit", "m", True),
        ("frames.tool", "another_tool", True),
        ("rates.policy_hz", 20.0, True),
        ("observation.0.delay_s", 0.5, True),
        ("rates.control_hz", 200.0, False),
        ("joints.0.velocity", 0.5, False),
        ("streams.joint_state.topic", "/elsewhere", False),
    ],
)
def test_what_ties_a_policy_to_a_robot(contract, place, value, ties_the_policy):
    other = Contract.from_dict(changed(contract.to_dict(), place, value))
    assert other.contract_hash != contract.contract_hash
    assert (other.interface_hash != contract.interface_hash) is ties_the_policy
    if ties_the_policy:
        with pytest.raises(UserError, match=f"they differ in {place.split('.')[0]}"):
            contract.require_same_interface(other, "bundle x")
    else:
        contract.require_same_interface(other, "bundle x")


def test_a_contract_extends_another_key_by_key(contract_path):
    push, avoid = (
        Contract.from_yaml(contract_path.with_name(f"panda_{n}.yaml")) for n in ("push", "avoid")
    )
    assert push.joints == avoid.joints and push.rates == avoid.rates
    assert set(push.streams) == {*avoid.streams, "objects"}
    assert push.objects == ("red_block", "green_block")
    assert push.observation_dim == 7 + 2 * 3
    assert push.interface_hash != avoid.interface_hash


def test_extending_what_is_missing_or_oneself_is_told(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("extends: b.yaml\n")
    with pytest.raises(UserError, match="a.yaml extends .*b.yaml, which is not there"):
        Contract.from_yaml(path)
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(UserError, match="a.yaml extends itself"):
        Contract.from_yaml(path)
    (tmp_path / "b.yaml").write_text("[1, 2]\n")
    with pytest.raises(UserError, match="b.yaml, which is no map"):
        Contract.from_yaml(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": ["a", "a"]}, "object names repeat"),
        ({"objects": []}, "go together"),
        (
            {"observation": [{"name": "o", "stream": "objects", "field": "velocity"}]},
            "stream 'objects' has no velocity, only position and heading",
        ),
        (
            {"observation": [{"name": "o", "stream": "joint_state", "field": "heading"}]},
            "stream 'joint_state' has no heading, only position and velocity",
        ),
    ],
)
def test_objects_and_their_stream_have_to_agree(contract_path, change, message):
    push = Contract.from_yaml(contract_path.with_name("panda_push.yaml")).to_dict()
    with pytest.raises(UserError, match=message):
        Contract.from_dict(push | change)
