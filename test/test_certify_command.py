"""vdd certify takes what was measured of a policy, and nothing that is no measurement."""

from __future__ import annotations

import json
from pathlib import Path

import bundles
import pytest

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.bundle_verification import require_certificate
from vdd_ros.contract import Contract
from vdd_ros.device import this_device
from vdd_ros.device_results import DeviceResults
from vdd_ros.sealed_folder import Refused
from vdd_ros.signature import make_keys

LATENCY = {
    "p50_us": 40.0, "p99_us": 90.0, "p999_us": 150.0, "calls": 5000, "rate_hz": 100.0,
    "ticks": 500, "missed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, contract) -> Bundle:
    return bundles.student_bundle(tmp_path_factory.mktemp("bundles") / "vdd", contract)


def evaluation(folder: Path, bundle: Bundle, delay_s: float = 0.01, **changes) -> Path:
    """As `vdd evaluate` writes it."""
    own = bundles.rollouts(delay_s=delay_s, contract_hash=bundle.manifest.contract_hash)
    raw = own.model_dump(mode="json") | changes
    raw["policy_hash"] = bundle.manifest.policy_hash
    raw["delays"] = {"observation_s": raw.pop("observation_delay_s"), "command_s": delay_s}
    (folder / "rollouts.json").write_text(json.dumps(raw))
    return folder / "rollouts.json"


def measured(
    folder: Path, bundle: Bundle, facts: dict | None = None, key: Path | None = None
) -> Path:
    """As `vdd verify --save` keeps it."""
    manifest = bundle.manifest
    whole = {"policy_hash": manifest.policy_hash, "device": "here", "runtime": "numpy"}
    results = DeviceResults(folder, manifest.bundle_hash, this_device())
    told = whole | {"latency": LATENCY} | (facts or {})
    return results.write("latency", told, "2026-01-01", key=key).folder


def certify(bundle: Bundle, out: Path, *more: object) -> int:
    return cli.main(["certify", *map(str, (bundle.folder, "--out", out, *more))])


def test_signing_leaves_what_was_demanded(tmp_path, bundle):
    make_keys(tmp_path / "key", tmp_path / "key.pub")
    rolled = evaluation(tmp_path, bundle)
    more = ["--evaluation", rolled, "--required-success", 0.95]
    assert certify(bundle, tmp_path / "judged", *more) == 0
    judged = Bundle.load(tmp_path / "judged")
    assert judged.certificate.failed == ["simulation"]
    assert certify(judged, tmp_path / "signed", "--key", tmp_path / "key") == 0
    assert Bundle.load(tmp_path / "signed").certificate == judged.certificate


@pytest.mark.parametrize("required", [0, 0.49, "nan", 1.01])
def test_a_pass_that_anything_passes_is_refused(tmp_path, bundle, capsys, required):
    assert certify(bundle, tmp_path / "out", "--required-success", required) == cli.USER_ERROR
    assert "it lies between 0.5 and 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"entropy": float("nan")}, "lacks entropy, or has it wrong"),
        ({"success_interval": [2.0, 3.0]}, "lacks success_interval.0, or has it wrong"),
        ({"episodes": 0}, "lacks episodes, or has it wrong"),
        ({"observation_delay_s": -1.0}, "lacks observation_delay_s, or has it wrong"),
        ({"delay_s": 1e-10}, "has delays of 2e-10 s together"),
        ({"contract_hash": "9" * 64}, "is of a robot with the contract 999999999999"),
        ({"contract_hash": None}, "lacks contract_hash, or has it wrong"),
    ],
)
def test_rollouts_that_cannot_have_been_are_refused(tmp_path, bundle, capsys, changes, told):
    rolled = evaluation(tmp_path, bundle, **changes)
    assert certify(bundle, tmp_path / "out", "--evaluation", rolled) == cli.USER_ERROR
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_certificate_is_about_one_task(tmp_path, bundle, capsys):
    on_time = evaluation(tmp_path, bundle, delay_s=0.0)
    assert certify(bundle, tmp_path / "judged", "--evaluation", on_time) == 0
    late = evaluation(tmp_path, bundle, task="push")
    judged = Bundle.load(tmp_path / "judged")
    assert certify(judged, tmp_path / "out", "--evaluation", late) == cli.USER_ERROR
    told = capsys.readouterr().err
    assert "is about one task" in told and "success of avoid, simulation of push" in told
    assert not (tmp_path / "out").exists()


def test_a_robot_demands_what_its_own_contract_does(tmp_path, bundle, contract, capsys):
    """Whoever certifies may think less of a task; whose robot it is decides for the robot."""
    rolled = evaluation(tmp_path, bundle, success_interval=[0.7, 0.8])
    more = ["--evaluation", rolled, "--required-success", 0.6]
    assert certify(bundle, tmp_path / "judged", *more) == 0
    judged = Bundle.load(tmp_path / "judged")
    assert judged.certificate.sim_pass
    require_certificate(judged, "sim_pass")
    told = "failed: simulation .95 % interval of success from 0.7, at least 0.8.; sim_pass"
    with pytest.raises(Refused, match=told):
        require_certificate(judged, "sim_pass", contract)
    content = Contract.from_dict(contract.to_dict() | {"certificate": {"success": 0.7}}, "it")
    require_certificate(judged, "sim_pass", content)


def test_a_file_that_nests_without_end_is_refused(tmp_path, bundle, capsys):
    (tmp_path / "it").write_text("[" * 200_000)
    assert certify(bundle, tmp_path / "out", "--evaluation", tmp_path / "it") == cli.USER_ERROR
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("is_signed", [False, True])
def test_who_signed_what_a_device_measured_is_told(tmp_path, bundle, capsys, is_signed):
    """Nobody has to have: whoever signs the certificate answers for its figures."""
    key = tmp_path / "key"
    word = make_keys(key, tmp_path / "key.pub")
    kept = measured(tmp_path, bundle, key=key if is_signed else None)
    words = ["--device-result", kept, "--key", key, "--json"]
    assert certify(bundle, tmp_path / "out", *words) == 0
    printed = capsys.readouterr().out
    result = json.loads(printed.splitlines()[-1])
    assert result["signed_by"] == word
    assert result["latency_signed_by"] == (word if is_signed else None)
    wanted = f"signed by {word[:16]}" if is_signed else "which nobody signed"
    assert f"latency: from {kept}, {wanted}" in printed


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"device": None}, "lacks device, or has it wrong"),
        ({"latency": None}, "measured no latency"),
        ({"latency": {}}, "lacks p50_us, or has it wrong"),
        ({"latency": LATENCY | {"p50_us": "short"}}, "lacks p50_us, or has it wrong"),
        ({"latency": LATENCY | {"missed": -1}}, "lacks missed, or has it wrong"),
        ({"latency": LATENCY | {"ticks": 99}}, "kept time of 99 ticks"),
        ({"policy_hash": "8" * 64}, "is of the policy 888888888888"),
        ({}, ""),
    ],
)
def test_what_a_device_measured_is_taken_whole_or_not(tmp_path, bundle, capsys, facts, told):
    kept = measured(tmp_path, bundle, facts)
    code = certify(bundle, tmp_path / "out", "--device-result", kept)
    assert code == (cli.USER_ERROR if told else 0) and told in capsys.readouterr().err
    assert (tmp_path / "out").exists() == (not told)
