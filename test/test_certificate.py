"""A certificate says what was measured, and is worth less for each thing that was not."""

from __future__ import annotations

import json

import bundles
import pytest

from vdd_ros.bundle import Bundle, certified
from vdd_ros.certificate import certificate_of
from vdd_ros.certificate_parts import Fidelity
from vdd_ros.certificate_sources import fidelity_of, rollouts_of
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.sealed_folder import Refused, to_json

DELAYED = bundles.rollouts(delay_s=0.01)
FIDELITY = {
    "nfe": 1, "nll": -1.0, "nll_interval": [-1.1, -0.9], "energy_distance": 0.03,
    "energy_floor": 0.01, "off_support": 0.01, "n_experts": 4, "dead_experts": 1,
}  # fmt: skip


def test_everything_measured_is_an_a_and_each_thing_less_is_less(contract):
    whole = bundles.complete(contract)
    assert (whole.grade, whole.missing, whole.failed) == ("A", {}, [])
    for name in ("success", "teacher_success", "latency"):
        part = whole.model_copy(update={name: None})
        assert part.grade == "B" and part.missing == {name: "not measured"}
    for name in ("fidelity", "simulation"):
        assert whole.model_copy(update={name: None}).grade == "C"
    assert whole.model_copy(update={"parity": {}}).grade == "D"
    assert whole.model_copy(update={"monitor": {}}).grade == "B"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("simulation", bundles.rollouts(delay_s=0.01, low=0.79)),
        ("simulation", bundles.rollouts(delay_s=0.0)),
        ("simulation", bundles.rollouts(delay_s=1e-10)),
        ("parity", {"fp32": {"ok": True}, "fp16": {"ok": False}}),
        ("success", bundles.rollouts(low=0.79)),
        ("success", bundles.rollouts(success=0.87)),
        ("success", bundles.rollouts().model_copy(update={"entropy": 0.45})),
        ("fidelity", FIDELITY | {"energy_distance": 0.09}),
        ("fidelity", FIDELITY | {"off_support": 0.25}),
        ("fidelity", FIDELITY | {"dead_experts": 3}),
    ],
)
def test_what_failed_makes_an_f_however_much_was_measured(contract, name, value):
    if name == "fidelity":
        value = Fidelity(**value)
    found = bundles.complete(contract).model_copy(update={name: value})
    assert found.grade == "F" and found.failed == [name]


def test_what_is_demanded_is_the_contract_s(contract):
    whole = bundles.complete(contract)
    hard = contract.certificate.model_copy(update={"success": 0.95, "off_support": 0.01})
    assert whole.demanded(hard).faults == {
        "fidelity": "off-support mass 0.02, at most 0.01",
        "success": "95 % interval of success from 0.93, at least 0.95",
        "simulation": "95 % interval of success from 0.93, at least 0.95",
    }
    raw = contract.to_dict() | {"certificate": {"success": 0.49}}
    with pytest.raises(UserError, match="certificate.success"):
        Contract.from_dict(raw, "it")
    assert "certificate" not in contract.to_dict()  # so that hashes of contracts stay


def test_parity_of_another_precision_is_none_of_a_bundle_s_own(contract):
    """An export in fp16 measures fp32 on the way; half of it is no whole."""
    whole = bundles.complete(contract).model_copy(update={"precision": "fp16"})
    assert whole.grade == "D" and whole.missing == {"parity": "not measured"}
    both = {**whole.parity, "fp16": {"ok": True, "windows": 1000}}
    assert whole.model_copy(update={"parity": both}).grade == "A"


def test_a_device_may_miss_one_deadline_in_a_hundred(contract):
    whole = bundles.complete(contract)
    for missed, grade in ((5, "A"), (6, "F")):
        latency = whole.latency.model_copy(update={"missed": missed})
        assert whole.model_copy(update={"latency": latency}).grade == grade


def test_a_teacher_is_compared_with_nobody_else(contract):
    whole = bundles.complete(contract)
    origin = whole.provenance.model_copy(update={"teacher_hash": bundles.RUN})
    alone = whole.model_copy(update={"provenance": origin, "teacher_success": None})
    assert alone.grade == "A"


def test_a_grade_that_is_written_into_it_is_worth_nothing(contract):
    raw = bundles.certificate(contract).to_dict()
    assert raw["grade"] == "C" and raw["reasons"]["latency"] == "not measured"
    forged = certificate_of(to_json(raw | {"grade": "A", "sim_pass": True}), "here")
    assert forged.grade == "C" and not forged.sim_pass


def test_it_is_read_as_it_was_written(contract):
    whole = bundles.complete(contract)
    assert certificate_of(to_json(whole.to_dict()), "here") == whole
    for earlier in (1, 2):
        told = f'{{"format_version": {earlier}, "parity": null}}'
        assert certificate_of(told.encode(), "here") is None
    with pytest.raises(Refused, match=r"here: provenance"):
        certificate_of(to_json(whole.to_dict() | {"provenance": None}), "here")


def test_the_page_says_what_is_known_and_what_is_not(tmp_path, contract):
    export = bundles.student_bundle(tmp_path / "export", contract)
    page = (export.folder / "certificate.md").read_text()
    assert page.startswith("# vdd: grade C\n")
    assert "| success" not in page.split("## In simulation")[0]
    assert page.count("not measured") + page.count("Not measured") >= 5
    for digest in (bundles.RUN, bundles.TEACHER, bundles.DATA, contract.contract_hash):
        assert digest in page
    whole = certified(export, tmp_path / "whole", bundles.complete(contract))
    page = (whole.folder / "certificate.md").read_text()
    assert page.startswith("# vdd: grade A\n") and "ot measured" not in page
    assert "Failed" not in page and "| at least 0.8 |" in page
    assert (
        "0.970" in page
        and "0 of 500 deadlines missed at 100 Hz" in page
        and "at most 5.0% of episodes" in page
    )


def test_why_a_figure_of_parity_is_missing_is_told_beside_it(tmp_path, contract):
    reasons = {"reasons": {"expert_agreement": "its candidates are samples"}}
    parity = {"fp32": {"ok": True, "windows": 9, "expert_agreement": None, **reasons}}
    told = bundles.certificate(contract, parity=parity).to_dict()
    made = bundles.student_bundle(tmp_path / "vdd", contract, certificate=told)
    page = (made.folder / "certificate.md").read_text()
    assert "| expert agreement | its candidates are samples |" in page
    assert "| windows | 9 |" in page and "reasons" not in page


def test_certifying_changes_the_bundle_but_not_the_policy(tmp_path, contract):
    export = bundles.student_bundle(tmp_path / "export", contract)
    whole = certified(export, tmp_path / "whole", bundles.complete(contract))
    assert whole.manifest.policy_hash == export.manifest.policy_hash
    assert whole.manifest.bundle_hash != export.manifest.bundle_hash
    assert whole.certificate.policy_hash == export.manifest.policy_hash
    assert Bundle.load(export.folder).certificate.grade == "C"
    other = bundles.student_bundle(tmp_path / "other", contract, seed=1)
    assert other.manifest.policy_hash != export.manifest.policy_hash


def test_figures_of_another_run_or_policy_are_refused():
    own = bundles.RUN, bundles.TEACHER
    ours = {"run_hash": bundles.RUN, "teacher_hash": bundles.TEACHER, "sliced_w2": 0.1}
    figures = FIDELITY | ours
    assert fidelity_of(figures, *own, "it").dead_experts == 1
    for name in ("run_hash", "teacher_hash"):
        for wrong, told in (("9" * 64, "it is of the .*: measure this"), (None, "does not say")):
            with pytest.raises(UserError, match=told):
                fidelity_of(figures | {name: wrong}, *own, "it")
    del figures["energy_distance"]
    with pytest.raises(UserError, match="it lacks energy_distance"):
        fidelity_of(figures, *own, "it")
    raw = DELAYED.model_dump() | {"policy_hash": "7" * 64}
    del raw["observation_delay_s"], raw["command_delay_s"]
    raw["delays"] = {"observation_s": 0.01, "command_s": 0.01}
    own = "policy_hash", "7" * 64, [bundles.ROBOT]
    assert rollouts_of(json.loads(json.dumps(raw)), *own, "it") == DELAYED
    with pytest.raises(UserError, match="it is of the policy 7{12}, and the bundle's is 8{12}"):
        rollouts_of(raw, "policy_hash", "8" * 64, [bundles.ROBOT], "it")
    with pytest.raises(UserError, match="with the contract 6{12}, and the bundle's has 9{12}"):
        rollouts_of(raw, *own[:2], ["9" * 64], "it")
    # a later version reads more of the same contract, and tells it by what is written there
    found = rollouts_of(raw, *own[:2], ["9" * 64, bundles.ROBOT], "it")
    assert found.contract_hash == "9" * 64
