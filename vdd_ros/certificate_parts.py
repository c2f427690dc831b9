"""What a certificate tells of: where a policy is from, and what was measured of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vdd_ros.fields import Share
from vdd_ros.sealed_folder import Hash

MOST_MISSED = 0.01  # share of deadlines that a device may miss and still pass
Interval = tuple[float, float]


class Figures(BaseModel):
    # a figure that is no number is none that was measured
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Provenance(Figures):
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


class Fidelity(Figures):
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


class Rollouts(Figures):
    """As `vdd evaluate` finds it; contract_hash: of the simulated robot's; delays in seconds
    between arm and policy."""

    policy: str
    task: str
    contract_hash: Hash
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


class Latency(Figures):
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

    def __str__(self) -> str:
        return f"{self.missed} of {self.ticks} deadlines missed at {self.rate_hz:g} Hz"


class Alarm(Figures):
    """A threshold of the monitor; false_alarm_rate: share of episodes like those trained on, at
    most."""

    value: float
    false_alarm_rate: float
    episodes: int
    scenes: int
