"""Certificate: what was measured of a bundle's policy, and plainly what was not.

grade   is given where
F       something that was measured failed
A       everything was measured, and nothing failed
B       of what was measured are parity, fidelity and a pass in simulation with delays
C       of what was measured is parity: the graph computes what the network does
D       not even that, in the bundle's own precision
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import JsonValue, ValidationError

from vdd_ros.bundle_manifest import Precision
from vdd_ros.certificate_demands import CertificateDemands
from vdd_ros.certificate_parts import Alarm, Fidelity, Figures, Latency, Provenance, Rollouts
from vdd_ros.sealed_folder import Hash, Refused, parsed_json

FORMAT_VERSION = 3
NOT_MEASURED = "not measured"
LEAST_DELAY_S = 0.01  # both together: cameras, networks and drivers take no less
ROLLOUTS = ("success", "teacher_success", "simulation")
Grade = Literal["A", "B", "C", "D", "F"]


class Certificate(Figures):
    """policy_hash: of the policy that all of this is about, None until it is in its bundle;
    precision: of its graphs; success: of the policy and of its teacher, without delays; simulation:
    with them; demands: what decides whether that is enough; parity: by precision, each with `ok`
    and its figures; monitor: by name of the threshold; made_with: versions."""

    format_version: Literal[3] = 3
    policy_hash: Hash | None = None
    precision: Precision = "fp32"
    run: str
    acting_rule: str
    provenance: Provenance
    parity: dict[Precision, dict[str, JsonValue]] = {}
    fidelity: Fidelity | None = None
    success: Rollouts | None = None
    teacher_success: Rollouts | None = None
    simulation: Rollouts | None = None
    demands: CertificateDemands = CertificateDemands()
    latency: Latency | None = None
    monitor: dict[str, Alarm | None] = {}
    reasons: dict[str, str] = {}
    made_with: dict[str, str] = {}

    def demanded(self, demands: CertificateDemands) -> Certificate:
        """The same figures, judged by these demands."""
        return self.model_copy(update={"demands": demands})

    @property
    def rollouts(self) -> dict[str, Rollouts]:
        """Those that there are, by name."""
        found = {name: getattr(self, name) for name in ROLLOUTS}
        return {name: one for name, one in found.items() if one is not None}

    @property
    def sim_pass(self) -> bool:
        """Whether it passed in simulation while observations and commands were late."""
        return self.simulation is not None and "simulation" not in self.faults

    @property
    def missing(self) -> dict[str, str]:
        """Names of what was not measured, each with its reason."""
        found: dict[str, object] = {
            "calibration": self.provenance.calibration_hashes,
            "parity": self.parity.get(self.precision),
            "fidelity": self.fidelity,
            "success": self.success,
            "teacher_success": self.teacher_success,
            "simulation": self.simulation,
            "latency": self.latency,
            "monitor": self.monitor.get("distance"),
        }
        if self.provenance.run_hash == self.provenance.teacher_hash:  # it is its own teacher
            del found["teacher_success"]
        return {
            name: self.reasons.get(name, NOT_MEASURED)
            for name, value in found.items()
            if value is None or value == {}
        }

    @property
    def faults(self) -> dict[str, str]:
        """Names of what was measured and is not as it must be, each with why not."""
        found: dict[str, Sequence[str]] = {
            "parity": [name for name, one in self.parity.items() if one.get("ok") is not True],
            "fidelity": self._faults_of_fidelity(),
            "success": self._faults_of_success(),
            "simulation": self._faults_of_simulation(),
            "latency": [str(self.latency)] if self.latency and not self.latency.passed else [],
        }
        return {name: ", ".join(told) for name, told in found.items() if told}

    @property
    def failed(self) -> list[str]:
        """Names of what was measured and is not as it must be."""
        return list(self.faults)

    def _faults_of_fidelity(self) -> list[str]:
        found, demands = self.fidelity, self.demands
        if found is None:
            return []
        beyond_floor = found.energy_distance - found.energy_floor
        told = [
            *_above("energy distance beyond its floor", beyond_floor, demands.energy_distance),
            *_above("off-support mass", found.off_support, demands.off_support),
        ]
        if found.n_experts and found.dead_experts is not None:
            dead = found.dead_experts / found.n_experts
            told += _above("share of dead experts", dead, demands.dead_experts)
        return told

    def _faults_of_success(self) -> list[str]:
        found, teacher, demands = self.success, self.teacher_success, self.demands
        if found is None:
            return []
        told = _too_rare(found, demands)
        if teacher is not None:
            loss = teacher.success - found.success
            told += _above("success below its teacher's by", loss, demands.success_loss)
            if teacher.entropy is not None and found.entropy is not None:
                loss = teacher.entropy - found.entropy
                told += _above("entropy below its teacher's by", loss, demands.entropy_loss)
        return told

    def _faults_of_simulation(self) -> list[str]:
        found = self.simulation
        if found is None:
            return []
        told = _too_rare(found, self.demands)
        if found.delay_s < LEAST_DELAY_S:
            told.append(f"delays of {found.delay_s:.2g} s together, at least {LEAST_DELAY_S:g}")
        return told

    @property
    def grade(self) -> Grade:
        """See the table above."""
        missing = self.missing
        if self.faults:
            return "F"
        if not missing:
            return "A"
        if "parity" in missing:
            return "D"
        return "C" if {"fidelity", "simulation"} & missing.keys() else "B"

    def to_dict(self) -> dict:
        """As plain JSON types, with the grade for whoever reads the file; `certificate_of` works
        it out anew."""
        told = self.model_dump(mode="json") | {"reasons": self.missing}
        return told | {"grade": self.grade, "failed": self.faults, "sim_pass": self.sim_pass}


def _above(what: str, found: float, allowed: float) -> list[str]:
    """The fault, in words, of a figure that is too large; NaN always is."""
    return [] if found <= allowed else [f"{what} {found:.3g}, at most {allowed:g}"]


def _too_rare(found: Rollouts, demands: CertificateDemands) -> list[str]:
    low = found.success_interval[0]
    least = demands.success
    return [] if low >= least else [f"95 % interval of success from {low:.3g}, at least {least:g}"]


def certificate_of(data: bytes, where: str) -> Certificate | None:
    """A certificate's bytes; None for one of an earlier format, which says too little to count.
    Raises Refused for what is none."""
    raw = parsed_json(data, where)
    if not isinstance(raw, dict):
        raise Refused("certificate", f"{where} is no certificate: export the bundle again")
    if raw.get("format_version") != FORMAT_VERSION:
        return None
    derived = ("grade", "failed", "sim_pass")
    try:
        return Certificate.model_validate({k: v for k, v in raw.items() if k not in derived})
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        told = f"{where}: {place}: {error.errors()[0]['msg']}: export the bundle again"
        raise Refused("certificate", told) from None
