"""A teacher that was trained by others: what it is, and how it becomes one of this project's.

Its noise is added to normalised actions, so its normalisation is kept: a chunk's R numbers are all
the numbers that its net knows, steps before the newest observation included. A Normalizer makes
commands of those from the newest observation on; the others are sampled and not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.beta_schedules import BETA_SCHEDULES, LevelIndex, sigmas_of
from vdd_ros.policies.denoiser import Denoiser, Prediction
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.unet import LAST_GROUPS, UnetDenoiserNet, UnetSizes
from vdd_ros.policies.windows import WindowSizes

MOST_LEVELS = 100_000  # of a DDPM; usual are 50 to 1000


@dataclass(frozen=True)
class ImportedConfig:
    """layout: whose checkpoint it was; n_obs_steps: To; steps: T of the net, past: of them, before
    the newest observation; unet: of the net; levels, schedule, beta_first, beta_last: of its DDPM;
    clip: the largest normalised action of a clean chunk, None: any; noise: where it is sampled, as
    far as its levels go; executed: steps of a chunk that its makers executed.
    """

    layout: str
    n_obs_steps: int
    steps: int
    past: int
    unet: UnetSizes
    prediction: Prediction = "epsilon"
    levels: int = 100
    schedule: str = "squaredcos_cap_v2"
    beta_first: float = 0.0001
    beta_last: float = 0.02
    clip: float | None = None
    executed: int | None = None
    observation_noise: float = 0.0
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self):
        halvings = 2 ** (len(self.unet.channels) - 1)
        if self.steps % halvings:
            raise ValueError(
                f"the horizon is {self.steps} steps, which {len(self.unet.channels)} levels of a "
                f"U-Net do not halve without a rest; it is a multiple of {halvings}"
            )
        if not 0 <= self.past < self.steps or self.n_obs_steps < 1:
            raise ValueError(
                f"{self.n_obs_steps} observation steps and a horizon of {self.steps} leave no step "
                "to execute"
            )
        if self.schedule not in BETA_SCHEDULES or not 2 <= self.levels <= MOST_LEVELS:
            raise ValueError(
                f"beta schedule {self.schedule!r} of {self.levels} levels is not read, only "
                f"{', '.join(BETA_SCHEDULES)} of 2 to {MOST_LEVELS}"
            )
        if not 0.0 < self.beta_first <= self.beta_last < 1.0:
            raise ValueError(
                f"beta goes from {self.beta_first} to {self.beta_last}, which are none"
            )
        if self.clip is not None and not self.clip > 0.0:
            raise ValueError(f"samples are clipped to {self.clip}, which leaves nothing")
        unet = self.unet
        if unet.embedding < 4 or unet.kernel < 1 or unet.kernel % 2 == 0 or unet.groups < 1:
            raise ValueError(f"kernel must be odd, and 4 numbers or more tell a level: {unet}")
        first, groups = unet.channels[0], unet.groups
        if any(width % groups for width in unet.channels) or first % LAST_GROUPS:
            raise ValueError(
                f"{unet.channels} channels do not divide into {groups} groups, and the first into "
                f"{LAST_GROUPS}"
            )

    @property
    def horizon(self) -> int:
        """H: steps from the newest observation on."""
        return self.steps - self.past

    @property
    def sizes(self) -> WindowSizes:
        """Of the windows that it is asked at."""
        return WindowSizes(self.n_obs_steps, self.horizon)

    @property
    def index(self) -> LevelIndex:
        """Of its levels, by their sigma."""
        ends = self.beta_first, self.beta_last
        return LevelIndex(sigmas_of(self.schedule, *ends, self.levels))

    @property
    def sampling_noise(self) -> NoiseConfig:
        """`noise` as far as the network was trained."""
        sigmas = self.index.sigmas.double().tolist()
        low, high = max(sigmas[0], self.noise.sigma_min), min(sigmas[-1], self.noise.sigma_max)
        return NoiseConfig(low, high)

    @classmethod
    def from_dict(cls, raw: dict) -> ImportedConfig:
        """What asdict made, also by way of JSON."""
        unet = UnetSizes(**raw["unet"] | {"channels": tuple(raw["unet"]["channels"])})
        return cls(**raw | {"unet": unet, "noise": NoiseConfig(**raw["noise"])})


def make_imported(config: ImportedConfig, newest_dim: int, cond_dim: int, dim: int) -> Denoiser:
    """Its denoiser, still without weights; sizes are a Normalizer's."""
    net = UnetDenoiserNet(config.unet, config.steps, newest_dim, cond_dim)
    return Denoiser(
        net,
        prediction=config.prediction,
        levels=config.levels,
        index=config.index,
        clip=config.clip,
    )


@dataclass(frozen=True)
class Numbers:
    """Numbers of a net in its makers' order. place: (n,) of each in the contract's order; slope,
    shift: (n,), the contract's unit is slope * theirs + shift."""

    place: np.ndarray
    slope: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Scaling:
    """(n,) each: value = scale * normalised + centre, in its makers' units."""

    scale: np.ndarray
    centre: np.ndarray

    def in_contract(self, numbers: Numbers) -> Scaling:
        """The same of values in the contract's units; still in the makers' order."""
        return Scaling(numbers.slope * self.scale, numbers.slope * self.centre + numbers.shift)


def normalizer_of(
    config: ImportedConfig, seen: Normalizer, action: Scaling, numbers: Numbers
) -> Normalizer:
    """`seen`, fitted on windows, tells observations; action: in the contract's units."""
    size, horizon = config.unet.action_dim, config.horizon
    order = np.argsort(numbers.place)  # of the contract's numbers, where each is in the net
    scale, centre = action.scale[order], action.centre[order]
    basis = np.zeros((horizon, size, config.steps, size))
    for step in range(horizon):
        basis[step, np.arange(size), config.past + step, order] = np.sign(scale)
    terms = 1 + seen.newest_mean.size + seen.difference_std.size
    flat = horizon * size
    return Normalizer(
        newest_mean=seen.newest_mean,
        newest_std=seen.newest_std,
        difference_std=seen.difference_std,
        reference=np.zeros((terms, flat)),
        chunk_mean=np.tile(centre, (horizon, 1)),
        # what never moved stays where it is: its row of the basis is zero
        chunk_std=np.tile(np.where(scale == 0.0, 1.0, np.abs(scale)), (horizon, 1)),
        basis=basis.reshape(flat, -1),
        spread=np.ones(config.steps * size),
        remainder=np.zeros((flat, flat)),
        action_mean=seen.action_mean,
        action_std=seen.action_std,
    )


def map_of_seen(
    normalizer: Normalizer, seen: Scaling, numbers: Numbers
) -> tuple[np.ndarray, np.ndarray]:
    """(C, To * n) and (To * n,): a Normalizer's features to the net's own numbers, oldest first;
    seen: in the contract's units."""

    def known(features: np.ndarray) -> np.ndarray:
        newest_dim = normalizer.newest_mean.size
        newest = features[:, :newest_dim] * normalizer.newest_std + normalizer.newest_mean
        steps = features[:, newest_dim:].reshape(len(features), -1, newest_dim)
        after = np.cumsum((steps * normalizer.difference_std)[:, ::-1], axis=1)[:, ::-1]
        rows = np.concatenate([newest[:, None] - after, newest[:, None]], axis=1)
        return ((rows[..., numbers.place] - seen.centre) / seen.scale).reshape(len(rows), -1)

    count = normalizer.newest_mean.size + normalizer.difference_std.size
    at_zero = known(np.zeros((1, count)))
    return known(np.eye(count)) - at_zero, at_zero[0]
