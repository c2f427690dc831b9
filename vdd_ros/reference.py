"""Reference outputs: a few windows and what the trained network made of them, kept in the bundle.

Whatever runs the graph later, on whatever machine, has to give them again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.inference import Policy, PolicyError, one_by_one
from vdd_ros.sealed_folder import Refused

FORMAT_VERSION = 1
PAIRS = 4


class Differences(NamedTuple):
    """Largest of all pairs: of means [contract unit] and of the experts' probabilities."""

    means: float
    gating: float


class Reference(NamedTuple):
    """n pairs. windows: (n, To, Do) [unit]; noise: (n, ...) where the policy takes any; log_gating:
    (n, K); means: (n, K, H, A) [unit]; bound: how far others may be off, see Differences."""

    windows: np.ndarray
    noise: np.ndarray | None
    log_gating: np.ndarray
    means: np.ndarray
    bound: Differences

    def differences(self, policy: Policy) -> Differences:
        """Of what a policy gives. Raises PolicyError."""
        means, gating = [], []
        for n, window in enumerate(self.windows):
            given = [policy.infer(window, None if self.noise is None else self.noise[n])]
            if policy.expert is not None:
                given.append(one_by_one(policy.expert, window))
            for found in given:
                means.append(np.abs(found.means - self.means[n]).max())
                gating.append(np.abs(np.exp(found.log_gating) - np.exp(self.log_gating[n])).max())
        # np.max, not max: a NaN must not get lost on the way to the comparison
        return Differences(float(np.max(means)), float(np.max(gating)))

    def require(self, policy: Policy) -> Differences:
        """Raises Refused where a policy gives something else, or other shapes."""
        try:
            found = self.differences(policy)
        except (PolicyError, ValueError) as error:
            raise Refused("parity", f"the reference cannot be evaluated ({error})") from None
        if not (found.means <= self.bound.means and found.gating <= self.bound.gating):
            told = (
                f"on this machine the policy differs from its reference by {found.means:.2g} in "
                f"the means and {found.gating:.2g} in the gating; {self.bound.means:g} and "
                f"{self.bound.gating:g} are allowed: do not run it here, export it again"
            )
            raise Refused("parity", told)
        return found

    def to_dict(self) -> dict:
        """As plain JSON types; `from_dict` gives it back, to a float32's precision."""
        return {
            "format_version": FORMAT_VERSION,
            "windows": _listed(self.windows),
            "noise": None if self.noise is None else _listed(self.noise),
            "log_gating": _listed(self.log_gating),
            "means": _listed(self.means),
            "bound": self.bound._asdict(),
        }

    @classmethod
    def from_dict(cls, raw: object, where: str) -> Reference:
        """As saved by `to_dict`; raises UserError for what is none."""
        fault = UserError(f"{where} holds no reference outputs: export the bundle again")
        try:
            if raw["format_version"] != FORMAT_VERSION:  # type: ignore[index]
                raise fault
            windows, log_gating, means = (
                np.array(raw[name], np.float64)  # type: ignore[index]
                for name in ("windows", "log_gating", "means")
            )
            noise = None if raw["noise"] is None else np.array(raw["noise"], np.float64)  # type: ignore[index]
            bound = Differences(**{name: float(v) for name, v in raw["bound"].items()})  # type: ignore[index]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise fault from None
        arrays = [windows, log_gating, means] + ([] if noise is None else [noise])
        if not all(array.ndim for array in arrays):
            raise fault
        finite = all(np.isfinite(array).all() for array in arrays)
        shapes = windows.ndim == 3 and means.ndim == 4 and log_gating.shape == means.shape[:2]
        alike = len({len(array) for array in arrays}) == 1 and len(windows) > 0
        if not (finite and shapes and alike and min(bound) >= 0.0):
            raise fault
        return cls(windows, noise, log_gating, means, bound)


def _listed(array: np.ndarray) -> list:
    """Nine digits tell a float32 from every other."""
    flat = [float(f"{value:.9g}") for value in np.asarray(array, np.float32).ravel().tolist()]
    return np.array(flat).reshape(array.shape).tolist()
