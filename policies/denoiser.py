"""Denoiser: one way to ask any net for a clean chunk, and by that for a score.

    score(x; sigma) = (D(x; sigma) - x) / sigma^2

EDM (Karras et al. 2022, Table 1 and eq. 7):

    D(x; sigma) = c_skip x + c_out F(c_in x, c_noise)

A consistency function (Song et al. 2023, eq. 25) has the same form with sigma - boundary in place
of sigma in c_skip and in the first factor of c_out, which makes it x itself at the boundary.

DDPM, with alpha = 1 / sqrt(1 + sigma^2) and t the time of sigma in the cosine schedule:

    D(x; sigma) = the clean chunk that follows from the epsilon, x0 or v that F(alpha x, t) gives

A consistency function of that form is where a straight step leads from sigma to the boundary:

    f(x; sigma) = D + boundary / sigma (x - D)

A DDPM of others has its own noise levels (beta_schedules.py) and may clip every D to a range, as it
does while it is sampled: that is its D then.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

from torch import Tensor, nn

from vdd_ros.policies.beta_schedules import LevelIndex
from vdd_ros.policies.cosine import level_sigmas, time_at
from vdd_ros.policies.predictions import DdpmPrediction, clean_of, signal_scale

Prediction = Literal["edm", DdpmPrediction]


class ScoreModel(Protocol):
    """What a distillation asks of a teacher; a learned denoiser or an exact mixture."""

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D), (B,) or (1,), (B, C) -> (B, D): the mean of the clean chunk given the noised one;
        sigma: of each row, or of all."""
        ...


def score(model: ScoreModel, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
    """(B, D): gradient of the log density of chunks noised with sigma (Karras eq. 3)."""
    return (model.denoise(x, sigma, cond) - x) / sigma[:, None] ** 2


class Denoiser(nn.Module):
    """net: F(x, noise, cond), as in nets.DenoiserNet; sigma_data: EDM's, the standard deviation of
    a normalised action; levels: a DDPM's, how many noise levels it is trained at; boundary: of a
    consistency function, the noise level at which it changes nothing; 0 for a denoiser; index: of
    a DDPM of others, what its net is told of a noise level; clip: the largest number of its D.
    """

    def __init__(
        self,
        net: nn.Module,
        sigma_data: float = 1.0,
        prediction: Prediction = "edm",
        levels: int = 1000,
        boundary: float = 0.0,
        index: LevelIndex | None = None,
        clip: float | None = None,
    ):
        super().__init__()
        if prediction not in get_args(Prediction):
            raise ValueError(f"prediction {prediction!r} is none of {get_args(Prediction)}")
        self.net, self.sigma_data = net, sigma_data
        self.prediction, self.levels = prediction, levels
        self.boundary = boundary
        self.index, self.clip = index, clip

    @property
    def level_sigmas(self) -> Tensor:
        """(levels,) rising: the noise levels that a DDPM is trained at."""
        return level_sigmas(self.levels) if self.index is None else self.index.sigmas

    def denoise(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D), (B,), (B, C) -> (B, D)."""
        if self.prediction == "edm":
            return self._denoise_edm(x, sigma, cond)
        clean = clean_of(self.prediction, self.predict(x, sigma, cond), x, sigma)
        if self.clip is not None:
            clean = clean.clamp(-self.clip, self.clip)
        if not self.boundary:
            return clean
        return clean + (self.boundary / sigma)[:, None] * (x - clean)

    def predict(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, D): what a DDPM's net itself says, an epsilon, x0 or v."""
        return self.net(*self._inputs(x, sigma), cond)

    def hidden(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        """(B, W): what the net knows before its last layer, for a head of another purpose."""
        return self.net.hidden(*self._inputs(x, sigma), cond)

    def _inputs(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """What the net gets of x (B, D) and sigma (B,): x about as wide as 1, and a number."""
        if self.prediction == "edm":
            c_in = 1.0 / (sigma[:, None] ** 2 + self.sigma_data**2).sqrt()
            return c_in * x, sigma.log() / 4.0  # c_noise
        told = time_at(sigma) if self.index is None else self.index(sigma)
        return signal_scale(sigma)[:, None] * x, told

    def _denoise_edm(self, x: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
        sigma_ = sigma[:, None]
        variance = sigma_**2 + self.sigma_data**2
        above = sigma_ - self.boundary
        c_skip = self.sigma_data**2 / (above**2 + self.sigma_data**2)
        c_out = above * self.sigma_data / variance.sqrt()
        return c_skip * x + c_out * self.net(*self._inputs(x, sigma), cond)

    forward = denoise
