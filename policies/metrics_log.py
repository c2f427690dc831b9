"""metrics.jsonl of a run folder: how a training goes, one JSON line at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vdd_ros.errors import UserError


class MetricsLog:
    """Lines of step, loss, gradient_norm, rate, seconds (of training, earlier runs included),
    cpu_seconds (of this process's threads, as much as there is to it on a busy machine) and
    examples_per_second; with tensorboard=True the same as event files. Raises UserError where
    TensorBoard is wanted and missing.
    """

    def __init__(
        self,
        folder: Path,
        tensorboard: bool = False,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ):
        self.folder, self.clock, self.cpu_clock = folder, clock, cpu_clock
        self.summary_writer = _summary_writer() if tensorboard else None
        self.events: Any = None

    def begin(self, step: int, examples_per_step: int) -> None:
        """A training goes on from `step`: keep the lines up to there, drop what came after."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = [record for record in read_metrics(self.folder) if record["step"] <= step]
        part = self.path.with_name(self.path.name + ".part")
        part.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        part.replace(self.path)
        self.examples_per_step = examples_per_step
        now = self.clock()
        before = kept[-1] if kept else {}
        self.began = now - before.get("seconds", 0.0)
        self.cpu_began = self.cpu_clock() - before.get("cpu_seconds", 0.0)
        self.last_step, self.last_time = step, now
        if self.summary_writer is not None:
            self.events = self.summary_writer(self.folder / "tensorboard", purge_step=step + 1)

    def write(self, step: int, figures: dict[str, float]) -> None:
        """One line, of what was found after `step` steps."""
        now = self.clock()
        examples = (step - self.last_step) * self.examples_per_step
        figures = figures | {
            "seconds": now - self.began,
            "cpu_seconds": self.cpu_clock() - self.cpu_began,
            "examples_per_second": examples / max(now - self.last_time, 1e-9),
        }
        self.last_step, self.last_time = step, now
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        if self.events is not None:
            for name, value in figures.items():
                self.events.add_scalar(name, value, step)
            self.events.flush()

    @property
    def path(self) -> Path:
        return self.folder / "metrics.jsonl"


def read_metrics(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl, up to one that was being written when the power went."""
    path, records = folder / "metrics.jsonl", []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def _summary_writer() -> type:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            "TensorBoard is not installed: leave out --tensorboard or `pip install tensorboard`"
        ) from None
    return SummaryWriter
