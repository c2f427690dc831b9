"""The likelihood start of vdd and nll, trained once for both: up to the last phase they are one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from vdd_ros.policies.metrics_log import MetricsLog
from vdd_ros.policies.training_state import TrainingState, save_state


@dataclass(frozen=True)
class SharedStart:
    """path: of a state, whose name tells all that decided it; how the training went, and how long
    it took, lies beside it."""

    path: Path

    def keep(self, step: int, state: TrainingState, log: MetricsLog | None) -> None:
        """Leave a training as it is after `step` steps for others to take up, unless one of them
        did so before."""
        if self.path.exists():
            return
        if log is not None:
            _copy(log.path, self._metrics)
        save_state(self.path, step, state)

    def take_up(self, state_file: Path, log: MetricsLog) -> None:
        """Begin a training in state_file with what another one left, unless it has begun itself."""
        if state_file.exists() or not self.path.exists():
            return
        log.path.parent.mkdir(parents=True, exist_ok=True)
        if self._metrics.exists():
            _copy(self._metrics, log.path)
        _copy(self.path, state_file)

    @property
    def _metrics(self) -> Path:
        return self.path.with_suffix(".jsonl")


def _copy(source: Path, target: Path) -> None:
    """By rename, so that two who do it at once leave a whole file."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, part)
    part.replace(target)
