"""What trainings on the bed G6 begin with, and are judged by, made once for all test files."""

from functools import cache

from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig, fitted, pairs
from vdd_ros.policies.beds.exam import Exam, marks, of_student
from vdd_ros.policies.training import TrainingConfig

G6 = BEDS["g6"]


@cache
def beginning():
    """A net like the exact denoiser, and pairs of the exact flow."""
    training = TrainingConfig(steps=1500, batch_size=512, learning_rate=2e-3, ema_decay=0.99)
    return fitted(G6, NetConfig(), training), pairs(G6, 16_384, seed=2)


@cache
def exam():
    return Exam.of(G6, seed=1)


def judged(objective, student):
    """The figures of a student."""
    return marks(G6, exam(), of_student(objective, student, exam(), seed=1))
