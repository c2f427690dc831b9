"""What trainings on the bed G6 begin with, made once for all test files."""

from functools import cache

from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig, fitted, pairs
from vdd_ros.policies.training import TrainingConfig

G6 = BEDS["g6"]


@cache
def beginning():
    """A net like the exact denoiser, and pairs of the exact flow."""
    training = TrainingConfig(steps=1500, batch_size=512, learning_rate=2e-3, ema_decay=0.99)
    return fitted(G6, NetConfig(), training), pairs(G6, 16_384, seed=2)
