"""How an action is taken from a mixture: one rule, saved with the bundle, named in every table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np

from vdd_ros.errors import UserError


@dataclass(frozen=True)
class ActingRule:
    """expert: drawn from the gating or its arg-max; sticky_bound: an expert is kept while its
    probability is at least this (above 1: chosen anew at every replanning); output: the expert's
    mean or a sample of it; replan_ticks: control ticks between two network calls."""

    expert: Literal["draw", "argmax"] = "draw"
    sticky_bound: float = 0.1
    output: Literal["mean", "sample"] = "mean"
    replan_ticks: int = 1

    def __post_init__(self):
        allowed = {"expert": ("draw", "argmax"), "output": ("mean", "sample")}
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise UserError(
                    f"acting rule: {name} is {getattr(self, name)!r}; write one of {choices}"
                )
        if not self.sticky_bound >= 0.0:
            raise UserError(f"acting rule: sticky_bound is {self.sticky_bound}; write 0 or more")
        if type(self.replan_ticks) is not int or self.replan_ticks < 1:
            raise UserError(f"acting rule: replan_ticks is {self.replan_ticks}; write 1 or more")

    def __str__(self) -> str:
        """One line for tables, such as `draw sticky 0.1, mean, every tick`."""
        every = "tick" if self.replan_ticks == 1 else f"{self.replan_ticks} ticks"
        return f"{self.expert} sticky {self.sticky_bound:g}, {self.output}, every {every}"

    def to_dict(self) -> dict:
        """The rule as plain JSON types; `from_dict` gives it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict) -> ActingRule:
        """The rule as saved by `to_dict`; raises UserError on an unknown or missing key."""
        known = {field.name for field in fields(cls)}
        if not isinstance(raw, dict) or set(raw) != known:
            raise UserError(f"acting rule: found {raw!r:.80}; it has exactly {sorted(known)}")
        return cls(**raw)


class ExpertChooser:
    """Holds on to one expert between replannings, so that the arm does not waver between ways."""

    def __init__(self, rule: ActingRule, rng: np.random.Generator):
        self.rule = rule
        self.rng = rng
        self.expert: int | None = None

    def reset(self) -> None:
        """Forget the expert held: the next choice is free."""
        self.expert = None

    def choose(
        self, log_gating: np.ndarray, means: np.ndarray, previous_plan: np.ndarray | None
    ) -> int:
        """The expert to follow.

        log_gating: (K,), normalised; means: (K, H, Da); previous_plan: (H, Da), what the running
        plan says for the same times, or None at the beginning.
        """
        if self.expert is None or np.exp(log_gating[self.expert]) < self.rule.sticky_bound:
            self.expert = self._fresh(log_gating)
        return self.expert

    def _fresh(self, log_gating: np.ndarray) -> int:
        if self.rule.expert == "argmax":
            return int(np.argmax(log_gating))
        cumulated = np.cumsum(np.exp(log_gating))
        return int(np.searchsorted(cumulated, self.rng.random() * cumulated[-1], side="right"))
