"""The certificate as a page: certificate.md of a bundle, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vdd_ros.bundle_manifest import Manifest
from vdd_ros.certificate import LEAST_DELAY_S, NOT_MEASURED, Certificate
from vdd_ros.certificate_parts import MOST_MISSED, Fidelity, Rollouts

GRADES = {
    "A": "everything was measured, and nothing failed",
    "B": "parity, fidelity and a pass in simulation with delays were measured, not everything",
    "C": "parity was measured: the graph computes what the trained network does",
    "D": "not even parity was measured",
    "F": "something that was measured is not as it was demanded",
}


TOLD = {
    "teacher_success": "success of the teacher",
    "simulation": "success with delays",
    "monitor": "thresholds of the monitor",
}


def page_of(certificate: Certificate, manifest: Manifest) -> str:
    """In Markdown; the same certificate and bundle make the same page."""
    parts = [
        f"# {manifest.name}: grade {certificate.grade}",
        f"Grade {certificate.grade}: {GRADES[certificate.grade]}.{_short(certificate)}",
        *_failed(certificate),
        f"Acting rule: {certificate.acting_rule}.",
        "## Made of",
        _table(("what", "value"), _made_of(certificate, manifest)),
        "## Parity",
        _parity(certificate),
        "## Fidelity to the teacher, on held-out episodes",
        _fidelity(certificate),
        "## In simulation",
        _rollouts(certificate),
        "## Latency",
        _latency(certificate),
        "## Monitor",
        _monitor(certificate),
        "## What was demanded",
        _table(("figure", "demanded"), _demanded(certificate)),
        "Figures are defined in docs/metrics.md, grades in docs/deployment.md. `vdd verify` checks "
        "all of this bundle on the machine that it is on.",
    ]
    # a name may have half a character, which no file can have
    return ("\n\n".join(parts) + "\n").encode(errors="backslashreplace").decode()


def device_page(name: str, facts: Mapping[str, Any]) -> str:
    """The page of a device's own certificate, in Markdown; facts: as `vdd verify` keeps them."""
    latency, parity = facts["latency"], facts["parity"]
    told = {key: value for key, value in facts.items() if key not in ("latency", "parity")}
    parts = [
        f"# {name} on {facts['device']}",
        table_of(told),
        "## Latency",
        _sentence(NOT_MEASURED) if latency is None else table_of(latency),
        "## Largest difference from the reference outputs",
        _sentence(NOT_MEASURED) if parity is None else table_of(parity),
    ]
    return "\n\n".join(parts) + "\n"


def table_of(facts: Mapping[str, Any]) -> str:
    """Names and values, in their order."""
    rows = [(name.replace("_", " "), figure(value)) for name, value in facts.items()]
    return _table(("what", "value"), rows)


def figure(value: object) -> str:
    """As people read it."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(figure, value)) or "none"
    return str(value)


def _short(certificate: Certificate) -> str:
    if not certificate.missing:
        return ""
    names = [TOLD.get(name, name) for name in certificate.missing]
    return f" Not measured: {', '.join(names)}."


def _failed(certificate: Certificate) -> list[str]:
    """A list of what failed, where something did."""
    faults = certificate.faults.items()
    told = "\n".join(f"- {TOLD.get(name, name)}: {why}" for name, why in faults)
    return ["Failed:", told] if told else []


def _demanded(certificate: Certificate) -> list[tuple[str, str]]:
    demands = certificate.demands
    return [
        ("success, lower end of its interval", f"at least {demands.success:g}"),
        ("success below its teacher's by", f"at most {demands.success_loss:g}"),
        ("entropy below its teacher's by", f"at most {demands.entropy_loss:g}"),
        ("energy distance beyond its floor", f"at most {demands.energy_distance:g}"),
        ("off-support mass", f"at most {demands.off_support:g}"),
        ("share of dead experts", f"at most {demands.dead_experts:g}"),
        ("delays together, of the success with delays", f"at least {LEAST_DELAY_S * 1e3:g} ms"),
        ("deadlines missed", f"at most {MOST_MISSED:.0%}"),
    ]


def _made_of(certificate: Certificate, manifest: Manifest) -> list[tuple[str, str]]:
    found = certificate.provenance
    calibrations = found.calibration_hashes
    versions = ", ".join(f"{name} {text}" for name, text in certificate.made_with.items())
    return [
        ("policy", f"{manifest.kind}, {manifest.n_experts} experts"),
        ("precision", manifest.precision or "fp32"),
        ("method", manifest.method or "unknown"),
        ("policy hash", manifest.policy_hash),
        ("run", f"{certificate.run} {found.run_hash}"),
        ("teacher", found.teacher_hash),
        ("dataset", f"{found.dataset_hash} ({found.episodes} episodes, {found.held_out} held out)"),
        ("contract", found.contract_hash),
        ("calibration", _missing(certificate, "calibration") or figure(calibrations)),
        ("code", f"vdd_ros {found.version}, sources {found.code_hash}"),
        ("made with", versions),
    ]


def _parity(certificate: Certificate) -> str:
    if why := _missing(certificate, "parity"):
        return _sentence(why)
    parts = []
    for precision, found in certificate.parity.items():
        parts += [f"{precision}:", table_of(_with_reasons(found))]
    return "\n\n".join(parts)


def _with_reasons(found: Mapping[str, Any]) -> dict[str, Any]:
    """Figures, and where there is none why not."""
    reasons = found.get("reasons")
    why = reasons if isinstance(reasons, dict) else {}
    told = {name: value for name, value in found.items() if name != "reasons"}
    return told | {name: why[name] for name in told.keys() & why.keys() if told[name] is None}


def _fidelity(certificate: Certificate) -> str:
    found = certificate.fidelity
    if found is None:
        return _sentence(_missing(certificate, "fidelity"))
    experts = "it has none"
    if found.n_experts is not None:
        experts = f"{figure(found.dead_experts)} of {found.n_experts}"
    rows = [
        ("network evaluations per chunk", figure(found.nfe)),
        ("NLL [nats per dimension]", _nll(found)),
        ("energy distance", f"{found.energy_distance:.4g} (floor {found.energy_floor:.4g})"),
        ("off-support mass", figure(found.off_support)),
        ("dead experts", experts),
    ]
    return _table(("figure", "value"), rows)


def _nll(found: Fidelity) -> str:
    if found.nll is None:
        return "none: it has no density"
    if found.nll_interval is None:
        return figure(found.nll)
    low, high = found.nll_interval
    return f"{found.nll:.4g} (95 %: {low:.4g} to {high:.4g})"


def _rollouts(certificate: Certificate) -> str:
    verdict = "passed" if certificate.sim_pass else "failed"
    rows = [
        _rollout_row("policy", certificate.success, certificate, "success"),
        _rollout_row("teacher", certificate.teacher_success, certificate, "teacher_success"),
        _rollout_row("policy, delayed", certificate.simulation, certificate, "simulation"),
    ]
    head = ("who", "task", "success", "95 %", "rollouts", "entropy", "modes", "delays")
    told = f"With delays: {verdict}." if certificate.simulation else ""
    return "\n\n".join(part for part in (_table(head, rows), told) if part)


def _rollout_row(
    who: str, found: Rollouts | None, certificate: Certificate, name: str
) -> tuple[str, ...]:
    if found is None:
        return (who, _missing(certificate, name) or "is the policy", *[""] * 6)
    low, high = found.success_interval
    delays = f"{found.observation_delay_s * 1e3:g} + {found.command_delay_s * 1e3:g} ms"
    return (
        who,
        found.task,
        f"{found.success:.3f}",
        f"{low:.3f} to {high:.3f}",
        str(found.episodes),
        "none" if found.entropy is None else f"{found.entropy:.3f}",
        f"{found.modes} of {found.modes_declared}",
        delays,
    )


def _latency(certificate: Certificate) -> str:
    found = certificate.latency
    if found is None:
        return _sentence(_missing(certificate, "latency"))
    rows = [
        ("device", found.device),
        ("runtime", found.runtime),
        ("p50, p99, p99.9", f"{found.p50_us:.1f}, {found.p99_us:.1f}, {found.p999_us:.1f} us"),
        ("calls", str(found.calls)),
        ("deadlines", str(found)),
    ]
    return _table(("figure", "value"), rows)


def _monitor(certificate: Certificate) -> str:
    if why := _missing(certificate, "monitor"):
        return _sentence(why)
    rows = []
    for name, alarm in certificate.monitor.items():
        if alarm is None:
            rows.append((name.replace("_", " "), NOT_MEASURED, "", ""))
            continue
        of = f"{alarm.episodes} episodes, {alarm.scenes} scenes"
        rate = f"at most {alarm.false_alarm_rate:.1%} of episodes"
        rows.append((name.replace("_", " "), figure(alarm.value), rate, of))
    return _table(("threshold", "value", "false alarms", "calibrated on"), rows)


def _missing(certificate: Certificate, name: str) -> str:
    return certificate.missing.get(name, "")


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = [" | ".join(cell.replace("|", "/") for cell in row) for row in lines]
    return "\n".join(f"| {row} |" for row in cells)
