"""What a method costs on a bed."""

from __future__ import annotations

import time
from typing import NamedTuple

from vdd_ros.policies.cost import CountedTeacher


class Cost(NamedTuple):
    """seconds: on the wall; cpu_seconds: of this process, which has one thread; teacher_calls:
    chunks that the exact teacher denoised."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    teacher_calls: int = 0

    def and_(self, other: Cost) -> Cost:
        """Of both."""
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.teacher_calls + other.teacher_calls,
        )


class Meter:
    """Runs from when it is made; counted: the teacher that is asked."""

    def __init__(self, counted: CountedTeacher):
        self.counted = counted
        self.began = time.perf_counter(), time.process_time()

    def read(self) -> Cost:
        """So far."""
        wall, cpu = self.began
        spent = time.perf_counter() - wall, time.process_time() - cpu
        return Cost(*spent, self.counted.calls)
