"""How an action is taken from a mixture: one rule, saved with the bundle, named in every table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.errors import UserError

MOST_DRAWS = 1000  # far more than fit into a control tick


@dataclass(frozen=True)
class ActingRule:
    """How experts are chosen and followed. Ticks are those of the contract that a bundle was made
    with, see `at_rate`.

    expert          drawn from the gating, or its arg-max
    hold_ticks      control ticks after which the expert is chosen anew
    sticky_bound    before that it is chosen anew when its probability falls below this
    agreement       distance from the running plan, root mean square in units of actions, at which a
                    choice becomes unlikely: probabilities are multiplied by
                    exp(-(distance / agreement)^2 / 2); 0 for a choice that does not look back
    blur            noise on the running plan that choices are compared with, of the size that the
                    agreement allows times this. Looking back favours plans that have many others
                    near them, at every choice anew. With a blur of 1 a choice leaves the
                    distribution that is chosen from as it is (a step of a Gibbs sampler over plan
                    and blurred plan, for one observation), and changes its mind more often.
    output          the expert's mean, or a sample whose deviation from the mean is drawn with each
                    choice and kept until the next
    draws           samples drawn of each expert at a choice, all of them to choose from
    tail_nats       a sample is no choice where its log-density under the mixture is this far below
                    the average sample's; 0 for all are. What lies between the ways that a mixture
                    of few Gaussians has to tell apart is bridged by them, at a low density.
    replan_ticks    control ticks between two network calls
    ensemble_ticks  time constant with which a new plan takes over from those before it; with a plan
                    at every tick this is temporal ensembling (Zhao et al. 2023); 0 for at once
    """

    expert: Literal["draw", "argmax"] = "draw"
    hold_ticks: int = 30
    sticky_bound: float = 0.02
    agreement: float = 0.0
    blur: float = 0.0
    output: Literal["mean", "sample"] = "mean"
    draws: int = 1
    tail_nats: float = 0.0
    replan_ticks: int = 1
    ensemble_ticks: int = 0

    def __post_init__(self):
        allowed = {"expert": ("draw", "argmax"), "output": ("mean", "sample")}
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise UserError(
                    f"acting rule: {name} is {getattr(self, name)!r}; write one of {choices}"
                )
        for name in ("sticky_bound", "agreement", "blur", "tail_nats"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0.0 <= value < np.inf:
                raise UserError(f"acting rule: {name} is {value!r}; write a number, 0 or more")
        least_of = {"hold_ticks": 1, "draws": 1, "replan_ticks": 1, "ensemble_ticks": 0}
        for name, least in least_of.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise UserError(f"acting rule: {name} is {value!r}; write {least} or more")
        if self.draws > MOST_DRAWS:
            raise UserError(f"acting rule: draws is {self.draws}; write {MOST_DRAWS} or less")
        if self.blur and not self.agreement:
            raise UserError("acting rule: blur is of what choices agree with; write an agreement")
        if self.output == "mean" and (self.draws > 1 or self.tail_nats):
            raise UserError("acting rule: draws and tail_nats are of samples; write output: sample")

    def __str__(self) -> str:
        """One line for tables, such as `draw for 30 ticks or until below 0.02, sample of 8, within
        4 nats, replan every tick, ensemble 10 ticks`."""
        every = "tick" if self.replan_ticks == 1 else f"{self.replan_ticks} ticks"
        parts = [
            f"{self.expert} for {self.hold_ticks} ticks or until below {self.sticky_bound:g}",
            *([self._agreement()] if self.agreement else []),
            self.output + (f" of {self.draws}" if self.draws > 1 else ""),
            *([f"within {self.tail_nats:g} nats"] if self.tail_nats else []),
            f"replan every {every}",
        ]
        if self.ensemble_ticks:
            parts.append(f"ensemble {self.ensemble_ticks} ticks")
        return ", ".join(parts)

    def _agreement(self) -> str:
        return f"agreement {self.agreement:g}" + (f" blurred {self.blur:g}" if self.blur else "")

    def at_rate(self, ratio: float) -> ActingRule:
        """The same rule where control ticks come `ratio` times as often: times stay what they are,
        and what is done at every tick is done at every tick."""

        def ticks(count: int) -> int:
            return count if count <= 1 else max(1, round(count * ratio))

        return replace(
            self,
            hold_ticks=ticks(self.hold_ticks),
            replan_ticks=ticks(self.replan_ticks),
            ensemble_ticks=round(self.ensemble_ticks * ratio),
        )

    def to_dict(self) -> dict:
        """The rule as plain JSON types; `from_dict` gives it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict) -> ActingRule:
        """The rule as saved by `to_dict`; raises UserError on an unknown or missing key."""
        known = {field.name for field in fields(cls)}
        if not isinstance(raw, dict) or set(raw) != known:
            raise UserError(
                f"acting rule: found {raw!r:.80}; it has exactly {sorted(known)}: export it again"
            )
        return cls(**raw)


class Choices(NamedTuple):
    """S plans of each expert. plans: (S, K, H, A); log_density: (S, K), of the mixture [nats]."""

    plans: np.ndarray
    log_density: np.ndarray


class ExpertChooser:
    """Holds on to one expert for a while, so that the arm does not waver between ways."""

    def __init__(self, rule: ActingRule, rng: np.random.Generator):
        self.rule = rule
        self.rng = rng
        self.reset()

    def reset(self) -> None:
        """Forget the expert held: the next choice is free."""
        self.expert: int | None = None
        self._held_ticks = 0

    def is_due(self, ticks: int) -> bool:
        """Whether a choice is due whatever the gating says, so many ticks after the last look."""
        return self.expert is None or self._held_ticks + ticks >= self.rule.hold_ticks

    def keeps(self, log_gating: np.ndarray, ticks: int) -> bool:
        """Whether the expert is still held; log_gating: (K,), normalised; ticks: since the last
        look."""
        if self.is_due(ticks):
            return False
        self._held_ticks += ticks
        return bool(np.exp(log_gating[self.expert]) >= self.rule.sticky_bound)

    def choose(
        self,
        log_gating: np.ndarray,
        choices: Choices,
        running: np.ndarray | None,
        held_ticks: int = 0,
    ) -> tuple[int, np.ndarray]:
        """The expert to follow from now on, and its plan (H, A).

        log_gating: (K,), normalised; running: (h, A), what the running plan says for the first h
        steps' times, None at the beginning; held_ticks: for how long it counts as held, below 0
        where it is chosen for later.
        """
        weighed = self._weigh(log_gating, choices, running)
        draw, self.expert = divmod(self._fresh(weighed.reshape(-1)), len(log_gating))
        self._held_ticks = held_ticks
        return self.expert, choices.plans[draw, self.expert]

    def _weigh(
        self, log_gating: np.ndarray, choices: Choices, running: np.ndarray | None
    ) -> np.ndarray:
        plans, log_density = choices
        weighed = np.empty_like(log_density)  # (S, K)
        weighed[:] = log_gating
        if self.rule.tail_nats:
            gating = np.exp(log_gating)
            average = (log_density @ gating).sum() / (len(plans) * gating.sum())
            weighed[log_density < average - self.rule.tail_nats] = -np.inf
        if running is not None and len(running) and self.rule.agreement:
            if self.rule.blur:
                # the scale that a root mean square of `agreement` means for each number
                scale = self.rule.blur * self.rule.agreement * np.sqrt(running.size)
                running = running + scale * self.rng.standard_normal(running.shape)
            off = (plans[:, :, : len(running)] - running).reshape(*weighed.shape, -1)
            squared = np.einsum("skd,skd->sk", off, off)
            weighed -= squared / (2.0 * running.size * self.rule.agreement**2)
        return weighed - weighed.max()

    def _fresh(self, log_weights: np.ndarray) -> int:
        if self.rule.expert == "argmax":
            return int(np.argmax(log_weights))
        cumulated = np.cumsum(np.exp(log_weights))
        return int(np.searchsorted(cumulated, self.rng.random() * cumulated[-1], side="right"))
