"""Certificate: what was measured of a bundle's policy, and plainly what was not.

grade   is given where
F       something that was measured failed
A       everything was measured, and nothing failed
B       of what was measured are parity, fidelity and a pass in simulation with delays
C       of what was measured is parity: the graph computes what the network does
D       not even that
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from vdd_ros.bundle_manifest import Precision
from vdd_ros.errors import UserError
from vdd_ros.sealed_folder import Hash, Refused, parsed_json

FORMAT_VERSION = 2
NOT_MEASURED = "not measured"
MOST_MISSED = 0.01  # share of deadlines that a device may miss and still pass
FEWEST_TICKS = 100  # fewer do not tell such a share
REQUIRED_SUCCESS = 0.8
LEAST_REQUIRED_SUCCESS = 0.5  # what fails more often than not is no pass anywhere
LEAST_DELAY_S = 0.01  # both together: cameras, networks and drivers take no less
Interval = tuple[float, float]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Grade = Literal["A", "B", "C", "D", "F"]


class _Part(BaseModel):
    # a figure that is no number is none that was measured
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Provenance(_Part):
    """What the policy was made of. run, teacher: sha256 of their checkpoints; dataset: of the
    windows that the teacher was trained on and those held out; calibrations: sha256 of the
    calibration files of the episodes, None where they do not tell; code: of the sources."""

    run_hash: Hash
    teacher_hash: Hash
    dataset_hash: Hash
    episodes: int
    held_out: int
    contract_hash: Hash
    calibration_hashes: tuple[Hash, ...] | None
    version: str
    code_hash: Hash


class Fidelity(_Part):
    """As `vdd fidelity` finds it, on held-out episodes (docs/metrics.md). dead_experts: of
    n_experts, those with less than a tenth of an even share of the gating; both None for a policy
    that has none."""

    nfe: int | None
    nll: float | None
    nll_interval: Interval | None = None
    energy_distance: float
    energy_floor: float
    off_support: float
    n_experts: int | None = None
    dead_experts: int | None = None


class Rollouts(_Part):
    """As `vdd evaluate` finds it; delays in seconds between arm and policy."""

    policy: str
    task: str
    episodes: int = Field(ge=1)
    success: Share
    success_interval: tuple[Share, Share]
    entropy: float | None
    modes: int
    modes_declared: int
    acting_rule: str
    observation_delay_s: float = Field(ge=0.0)
    command_delay_s: float = Field(ge=0.0)
    code_hash: Hash

    @property
    def is_delayed(self) -> bool:
        """Whether anything between arm and policy took time."""
        return self.delay_s > 0.0

    @property
    def delay_s(self) -> float:
        """From when something is true until the arm has the command for it, beside the policy."""
        return self.observation_delay_s + self.command_delay_s


class Latency(_Part):
    """Of one call on one device, and of as many `ticks` at the contract's rate as were tried;
    missed: of those, how many plans were not there before the next tick."""

    device: str
    runtime: str
    p50_us: float
    p99_us: float
    p999_us: float
    calls: int = Field(ge=1)
    rate_hz: float = Field(gt=0.0)
    ticks: int = Field(ge=1)
    missed: int = Field(ge=0)

    @property
    def passed(self) -> bool:
        return self.missed <= MOST_MISSED * self.ticks


class Alarm(_Part):
    """A threshold of the monitor; false_alarm_rate: share of episodes like those trained on, at
    most."""

    value: float
    false_alarm_rate: float
    episodes: int
    scenes: int


class Certificate(_Part):
    """policy_hash: of the policy that all of this is about, None until it is in its bundle;
    success: of the policy and of its teacher, without delays; simulation: with them;
    required_success: least lower end of its 95 % interval; parity: by precision, each with `ok`
    and its figures; monitor: by name of the threshold; made_with: versions."""

    format_version: Literal[2] = 2
    policy_hash: Hash | None = None
    run: str
    acting_rule: str
    provenance: Provenance
    parity: dict[Precision, dict[str, JsonValue]] = {}
    fidelity: Fidelity | None = None
    success: Rollouts | None = None
    teacher_success: Rollouts | None = None
    simulation: Rollouts | None = None
    required_success: float = Field(default=REQUIRED_SUCCESS, ge=LEAST_REQUIRED_SUCCESS, le=1.0)
    latency: Latency | None = None
    monitor: dict[str, Alarm | None] = {}
    reasons: dict[str, str] = {}
    made_with: dict[str, str] = {}

    @property
    def sim_pass(self) -> bool:
        """Whether it passed in simulation while observations and commands were late."""
        found = self.simulation
        if found is None or found.delay_s < LEAST_DELAY_S:
            return False
        return found.success_interval[0] >= self.required_success

    @property
    def missing(self) -> dict[str, str]:
        """Names of what was not measured, each with its reason."""
        found: dict[str, object] = {
            "calibration": self.provenance.calibration_hashes,
            "parity": self.parity,
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
    def failed(self) -> list[str]:
        """Names of what was measured and is not as it must be."""
        found = []
        if any(one.get("ok") is not True for one in self.parity.values()):
            found.append("parity")
        if self.simulation is not None and not self.sim_pass:
            found.append("simulation")
        if self.latency is not None and not self.latency.passed:
            found.append("latency")
        return found

    @property
    def grade(self) -> Grade:
        """See the table above."""
        missing = self.missing
        if self.failed:
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
        return told | {"grade": self.grade, "failed": self.failed, "sim_pass": self.sim_pass}


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


def fidelity_of(raw: Mapping[str, Any], run_hash: str, teacher_hash: str, where: str) -> Fidelity:
    """From what `vdd fidelity` wrote of a run; raises UserError for another's, or another
    teacher's."""
    _require_own(raw, "run_hash", run_hash, "run", where)
    _require_own(raw, "teacher_hash", teacher_hash, "teacher", where)
    return _taken(Fidelity, raw, where)


def rollouts_of(raw: Mapping[str, Any], which: str, wanted: str, where: str) -> Rollouts:
    """From what `vdd evaluate` wrote of the policy whose `which`, policy_hash or run_hash, is
    wanted; raises UserError for another's."""
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
    return found


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
    if found != wanted:
        told = f"{found:.12}" if isinstance(found, str) else "unknown"
        raise UserError(
            f"{where} is of the {what} {told}, and the bundle's is {wanted[:12]}: measure this one"
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
