"""How much a policy may change with its precision: thresholds of a contract."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vdd_ros.fields import Part, Positive, Share

FEWEST_WINDOWS = 1000
FEATURE_BOUND = 1e-3  # in fp32, of features of variance 1


class ParityLimits(Part):
    """windows: recorded windows that it is measured on, at least; joint_error: largest difference
    of a joint target, in any window [unit of the joint]; disagreement: share of windows in which
    another expert is the most likely one; nll: how much worse recorded chunks fit, mean over
    windows [nats per number of a chunk]; energy_distance: between samples of both, beyond that
    between two draws of the first (docs/metrics.md), in standardised actions.
    """

    windows: Annotated[int, Field(ge=1)] = FEWEST_WINDOWS
    joint_error: Positive = 5e-3
    disagreement: Share = 0.01
    nll: Positive = 0.02
    energy_distance: Positive = 0.01

    def of(self, precision: str) -> ParityLimits:
        """In fp32 as many windows as there are will do: rounding alone is left to differ, and that
        has a bound of its own."""
        return self.model_copy(update={"windows": 1}) if precision == "fp32" else self
