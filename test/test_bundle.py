"""A bundle is there whole or not at all, and only its own robot takes it."""

import dataclasses
import json

import graphs
import numpy as np
import pytest

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.commands.bench.bundle.scene import reseal
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.sealed_folder import hash_of

K, H, DA = 2, 8, 7


def write(folder, contract, **changes):
    parts = {
        "name": "avoid-vdd",
        "kind": "mixture",
        "contract": contract,
        "rule": ActingRule(),
        "n_obs_steps": 2,
        "horizon": H,
        "n_experts": K,
        "policy_onnx": graphs.mixture(np.log([0.5, 0.5]), np.zeros((K, H, DA))),
        "normalizer": {"format_version": 1},
        "certificate": {"parity": None},
    }
    return write_bundle(folder, **{**parts, **changes})


def changed(contract: Contract, **changes) -> Contract:
    """The contract with some values of its first joint replaced."""
    raw = contract.to_dict()
    raw["joints"][0].update(changes)
    return Contract.from_dict(raw)


def test_what_is_written_is_what_is_loaded(tmp_path, contract):
    write(tmp_path / "bundle", contract, rule=ActingRule(expert="argmax", sticky_bound=0.3))
    bundle = Bundle.load(tmp_path / "bundle", contract)
    assert bundle.contract == contract
    assert bundle.rule == ActingRule(expert="argmax", sticky_bound=0.3)
    assert bundle.density_path is None
    policy = bundle.open_policy()
    assert (policy.n_experts, policy.horizon) == (K, H)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_density_is_optional(tmp_path, contract):
    bundle = write(tmp_path / "bundle", contract, density_onnx=b"graph")
    assert bundle.density_path.read_bytes() == b"graph"


def test_the_hash_of_its_contract_is_that_of_the_file(tmp_path, contract):
    """Which the manifest tells, for whoever asks which robot a bundle is of."""
    made = write(tmp_path / "bundle", contract)
    raw = json.loads((made.folder / "contract.json").read_text())
    assert made.manifest.contract_hash == contract.contract_hash == hash_of(raw)
    reseal(made.folder, contract_hash=changed(contract, velocity=9.0).contract_hash)
    with pytest.raises(UserError, match="is the contract .*, its bundle tells of"):
        Bundle.load(made.folder)


def test_bundle_hash_tells_two_bundles_apart(tmp_path, contract):
    first = write(tmp_path / "a", contract)
    again = write(tmp_path / "b", contract)
    other = write(tmp_path / "c", contract, normalizer={"format_version": 2})
    assert first.manifest.bundle_hash == again.manifest.bundle_hash
    assert first.manifest.bundle_hash != other.manifest.bundle_hash


@pytest.mark.parametrize(
    "name", ["policy.onnx", "contract.json", "normalizer.json", "certificate.json", "bundle.json"]
)
def test_any_changed_or_missing_file_is_refused(tmp_path, contract, name):
    folder = write(tmp_path / "bundle", contract).folder
    path = folder / name
    whole = path.read_bytes()
    for damage in (whole[:-2], whole.replace(b"a", b"A", 1), b""):
        path.write_bytes(damage)
        with pytest.raises(UserError, match=name):
            Bundle.load(folder, contract)
    path.unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        Bundle.load(folder, contract)


def test_what_is_no_bundle_is_told_with_what_to_do_instead(tmp_path):
    for folder, told in (
        ("nowhere", "there is no such folder; name one that `vdd export` made"),
        ("run", f"that is a run; make a bundle of it by `vdd export --run {tmp_path / 'run'} "),
        ("other", "copy the whole folder again"),
    ):
        if folder != "nowhere":
            (tmp_path / folder).mkdir()
        if folder == "run":
            (tmp_path / folder / "run.json").touch()
        with pytest.raises(UserError) as refused:
            Bundle.load(tmp_path / folder)
        assert f"bundle.json is missing: {told}" in str(refused.value)
        assert refused.value.check == "manifest"


def test_changed_manifest_is_refused(tmp_path, contract):
    folder = write(tmp_path / "bundle", contract).folder
    raw = json.loads((folder / "bundle.json").read_text())
    for change in ({"n_obs_steps": 3}, {"files": {}}, {"kind": "oracle"}, {"format_version": 2}):
        (folder / "bundle.json").write_text(json.dumps({**raw, **change}))
        with pytest.raises(UserError, match="bundle.json"):
            Bundle.load(folder, contract)


def test_foreign_bundle_is_refused(tmp_path, contract):
    folder = write(tmp_path / "bundle", changed(contract, name="ur_joint1")).folder
    with pytest.raises(UserError, match="made for another interface.*differ in joints"):
        Bundle.load(folder, contract)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lower", -2.95), ("upper", 2.95), ("velocity", 3.0), ("acceleration", 11.0)],
)
def test_bundle_that_needs_wider_limits_is_refused(tmp_path, contract, name, value):
    folder = write(tmp_path / "bundle", changed(contract, **{name: value})).folder
    with pytest.raises(UserError, match=f"needs {name} {value:g} at panda_joint1"):
        Bundle.load(folder, contract)


def test_bundle_made_for_narrower_limits_is_taken(tmp_path, contract):
    folder = write(tmp_path / "bundle", changed(contract, velocity=1.0, upper=2.0)).folder
    assert Bundle.load(folder, contract).name == "avoid-vdd"


def test_corrupt_graph_is_refused(tmp_path, contract):
    bundle = write(tmp_path / "bundle", contract, policy_onnx=b"\x08\x07corrupt")
    with pytest.raises(UserError, match="not a usable ONNX model"):
        bundle.open_policy()


def test_graph_of_another_shape_than_declared_is_refused(tmp_path, contract):
    bundle = write(tmp_path / "bundle", contract, horizon=H + 1)
    with pytest.raises(UserError, match="export it again"):
        bundle.open_policy()


def test_sampling_needs_noise_in_the_graph(tmp_path, contract):
    bundle = write(tmp_path / "bundle", contract, rule=ActingRule(output="sample"))
    with pytest.raises(UserError, match="takes no noise"):
        bundle.open_policy()


@pytest.mark.parametrize("change", [{"draws": 2}, {"tail_nats": 1.0}])
def test_what_is_asked_of_a_density_needs_one(tmp_path, contract, change):
    policy = graphs.mixture(np.zeros(K), np.zeros((K, H, DA)), noise=True)
    rule = ActingRule(output="sample", **change)
    with pytest.raises(UserError, match="has no density"):
        write(tmp_path / "bundle", contract, rule=rule, policy_onnx=policy)
    assert not (tmp_path / "bundle").exists()
    bundle = write(
        tmp_path / "bundle", contract, rule=ActingRule(output="sample"), policy_onnx=policy
    )
    foreign = dataclasses.replace(bundle, rule=rule)
    with pytest.raises(UserError, match="has no density"):
        foreign.open_policy()


def test_an_older_bundle_is_replaced_whole(tmp_path, contract):
    write(tmp_path / "bundle", contract, density_onnx=b"graph")
    bundle = write(tmp_path / "bundle", contract, name="second")
    assert Bundle.load(bundle.folder).name == "second"
    assert not (bundle.folder / "density.onnx").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_failed_write_leaves_the_older_bundle(tmp_path, contract):
    write(tmp_path / "bundle", contract)
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / "bundle", contract, certificate={"parity": float("nan")})
    assert Bundle.load(tmp_path / "bundle", contract).name == "avoid-vdd"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_link_to_a_bundle_is_left_alone(tmp_path, contract):
    """Deployments are switched by it; what it names stays as it is."""
    write(tmp_path / "first", contract)
    (tmp_path / "current").symlink_to(tmp_path / "first")
    with pytest.raises(UserError, match="is a link, and a bundle is never changed"):
        write(tmp_path / "current", contract, name="second")
    assert Bundle.load(tmp_path / "current", contract).name == "avoid-vdd"


def test_a_folder_of_something_else_is_left_alone(tmp_path, contract):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").write_text("kept")
    with pytest.raises(UserError, match="is no bundle"):
        write(tmp_path / "data", contract)
    assert (tmp_path / "data" / "precious").read_text() == "kept"


def test_times_stay_what_they_are_on_a_robot_of_another_rate(tmp_path, contract):
    """Ticks of a rule are those of the contract trained with: a robot five times as fast holds an
    expert for as long, and still plans at every tick where the rule does."""
    rule = ActingRule(hold_ticks=5, replan_ticks=1, ensemble_ticks=4)
    write(tmp_path / "bundle", contract, rule=rule)
    raw = contract.to_dict()
    raw["rates"]["control_hz"] *= 5
    bundle = Bundle.load(tmp_path / "bundle", Contract.from_dict(raw))
    assert bundle.rule == ActingRule(hold_ticks=25, replan_ticks=1, ensemble_ticks=20)
    assert Bundle.load(tmp_path / "bundle").rule == rule
    rare = ActingRule(hold_ticks=1, replan_ticks=5)
    assert rare.at_rate(2.0) == ActingRule(hold_ticks=1, replan_ticks=10)
    assert rare.at_rate(0.1) == ActingRule(hold_ticks=1, replan_ticks=1)
