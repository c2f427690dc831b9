"""Figures for a certificate, from the files that they were kept in; those of others are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from vdd_ros.bundle_manifest import CONTRACT
from vdd_ros.certificate import LEAST_DELAY_S
from vdd_ros.certificate_parts import Fidelity, Latency, Rollouts
from vdd_ros.errors import UserError

FEWEST_TICKS = 100  # fewer do not tell what share of deadlines is missed


def fidelity_of(raw: Mapping[str, Any], run_hash: str, teacher_hash: str, where: str) -> Fidelity:
    """From what `vdd fidelity` wrote of a run; raises UserError for another's, or another
    teacher's."""
    _require_own(raw, "run_hash", run_hash, "run", where)
    _require_own(raw, "teacher_hash", teacher_hash, "teacher", where)
    return _taken(Fidelity, raw, where)


def rollouts_of(
    raw: Mapping[str, Any], which: str, wanted: str, contracts: Sequence[str], where: str
) -> Rollouts:
    """From what `vdd evaluate` wrote of the policy whose `which`, policy_hash or run_hash, is
    wanted; contracts: hashes of the bundle's, as it is written there, and as this version reads it.
    Raises UserError for another policy's, or for those of a robot with another contract."""
    _require_own(raw, which, wanted, "policy" if which == "policy_hash" else "run", where)
    delays = raw.get("delays")
    if not isinstance(delays, dict):
        raise UserError(f"{where} does not tell of delays: name what vdd evaluate wrote")
    flat = {f"{one.removesuffix('_s')}_delay_s": value for one, value in delays.items()}
    found: Rollouts = _taken(Rollouts, {**raw, **flat}, where)
    if 0.0 < found.delay_s < LEAST_DELAY_S:
        raise UserError(
            f"{where} has delays of {found.delay_s:.2g} s together: {LEAST_DELAY_S:g} s or more "
            "are no trifle, none are no delay; evaluate it so"
        )
    if found.contract_hash not in contracts:
        raise UserError(
            f"{where} is of a robot with the contract {found.contract_hash[:12]}, and the bundle's "
            f"has {contracts[0][:12]}: evaluate it with --contract BUNDLE/{CONTRACT}"
        )
    return found.model_copy(update={"contract_hash": contracts[0]})


def latency_of(facts: Mapping[str, Any], policy_hash: str, where: str) -> Latency:
    """From the facts of a device result that `vdd verify` kept; raises UserError for another
    policy's, and where too little was measured."""
    _require_own(facts, "policy_hash", policy_hash, "policy", where)
    measured = facts.get("latency")
    if not isinstance(measured, dict):
        raise UserError(f"{where} measured no latency: verify it there again, with --calls")
    found: Latency = _taken(Latency, {**measured, **facts}, where)
    if found.ticks < FEWEST_TICKS:
        raise UserError(
            f"{where} kept time of {found.ticks} ticks, {FEWEST_TICKS} tell what share is missed: "
            "verify it there again, with --ticks"
        )
    return found


def _require_own(raw: Mapping[str, Any], name: str, wanted: str, what: str, where: str) -> None:
    found = raw.get(name)
    if not isinstance(found, str):
        raise UserError(
            f"{where} does not say which {what} it is of: name what vdd measured of this one"
        )
    if found != wanted:
        raise UserError(
            f"{where} is of the {what} {found:.12}, and the bundle's is {wanted[:12]}: measure "
            "this one"
        )


def _taken(kind: type[Any], raw: Mapping[str, Any], where: str) -> Any:
    """A model from a result file, which says more than that."""
    try:
        return kind.model_validate({n: raw[n] for n in kind.model_fields if n in raw})
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        raise UserError(
            f"{where} lacks {place}, or has it wrong: name what this version of vdd wrote"
        ) from None
