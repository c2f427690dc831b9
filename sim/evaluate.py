"""Evaluate: many rollouts of one bundle in processes of their own, resumable, and what they say.

A rollout depends on bundle, robot, task and seed alone: neither the number of processes nor what
ran before in the same process changes a figure.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vdd_ros.bundle import Bundle
from vdd_ros.code_version import code_hash
from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError
from vdd_ros.sim.cameras import require_drawable
from vdd_ros.sim.delay import AT_ONCE, Delays
from vdd_ros.sim.journal import Journal
from vdd_ros.sim.pool import rollouts_of
from vdd_ros.sim.rollout import PATH_STEP_NS, Rollout, wire
from vdd_ros.sim.tasks import TASKS
from vdd_ros.statistics import behaviour_entropy, modes_covered, modes_taken, wilson

FORMAT_VERSION = 1


@dataclass(frozen=True)
class EvaluationResult:
    """The rollouts of one bundle in the order of their seeds; folder: where they are kept."""

    bundle: Bundle
    robot: Contract
    task: str
    folder: Path
    rollouts: tuple[Rollout, ...]
    delays: Delays = AT_ONCE

    @property
    def ways(self) -> tuple[int | None, ...]:
        """Way of each success, None for each failure, as vdd_ros.statistics wants them."""
        return tuple(r.mode for r in self.rollouts)

    def summary(self) -> dict:
        """Every figure of METRICS.md that rollouts decide, as plain JSON types.

        entropy: a policy without any success counts 0, entropy_dropped: it has none; seconds: mean
        over successes; `missing` says why a figure is null.
        """
        won = [r for r in self.rollouts if r.success]
        certificate = self.bundle.certificate
        n_modes = TASKS[self.task].n_modes
        contexts = [r.context for r in self.rollouts]
        entropy = behaviour_entropy(self.ways, n_modes, contexts) if n_modes > 1 else None
        return {
            "format_version": FORMAT_VERSION,
            "policy": self.bundle.name,
            "task": self.task,
            "episodes": len(self.rollouts),
            "success": len(won) / len(self.rollouts),
            "success_interval": list(wilson(len(won), len(self.rollouts))),
            "entropy": entropy.zero if entropy else None,
            "entropy_dropped": entropy.dropped if entropy else None,
            "modes": modes_covered(self.ways),
            "modes_taken": modes_taken(self.ways),
            "modes_declared": n_modes,
            "return": float(np.mean([r.done for r in self.rollouts])),
            "seconds": float(np.mean([r.seconds for r in won])) if won else None,
            "failures": dict(Counter(r.reason for r in self.rollouts if not r.success)),
            "missing": self._missing(),
            "acting_rule": self.bundle.acting,
            "delays": self.delays._asdict(),
            "bundle_hash": self.bundle.manifest.bundle_hash,
            "policy_hash": self.bundle.manifest.policy_hash,
            "run_hash": certificate and certificate.provenance.run_hash,
            "contract_hash": self.robot.contract_hash,
            "code_hash": code_hash("sim"),  # a rollout of other code is another rollout
            "folder": str(self.folder),
        }

    def _missing(self) -> dict[str, str]:
        """Why a figure is null."""
        missing = {}
        if not any(r.success for r in self.rollouts):
            missing = dict.fromkeys(("entropy_dropped", "seconds"), "no success")
        if TASKS[self.task].n_modes == 1:
            missing |= dict.fromkeys(("entropy", "entropy_dropped"), "there is one mode only")
        return missing

    def arrays(self) -> dict[str, np.ndarray]:
        """All rollouts end to end, for pictures.

        seeds, ways (-1 for none), success: (n,); path_ends: (n,) index after the last point of
        each; paths: (total, 2) of the tool [m]; experts: (total,) followed at each of those points.
        """
        paths = [rollout.path for rollout in self.rollouts]
        tick_ns = self.robot.control_period_ns
        ticks = [np.arange(len(path)) * PATH_STEP_NS // tick_ns for path in paths]
        return {
            "seeds": np.array([r.seed for r in self.rollouts]),
            "ways": np.array([-1 if r.way is None else r.way for r in self.rollouts]),
            "success": np.array([r.success for r in self.rollouts]),
            "path_ends": np.cumsum([len(path) for path in paths]),
            "paths": np.concatenate(paths),
            "experts": np.concatenate(
                [r.experts[at] for r, at in zip(self.rollouts, ticks, strict=True)]
            ),
        }


def evaluate(
    folder: Path,
    robot: Contract,
    seeds: Sequence[int],
    out: Path,
    processes: int = 2,
    task: str = "avoid",
    report: Callable[[int, int], None] = lambda done, total: None,
    delays: Delays = AT_ONCE,
) -> EvaluationResult:
    """Roll out the bundle in `folder` once per seed, in the task's evaluation contexts in turn.

    robot: its limits apply, not the bundle's; report: told how many of how many are done;
    delays: between arm and policy.
    Rollouts are kept under `out`, in a Journal of their own for each bundle, robot, task and state
    of this code; those already there are not run again. The end leaves <name>.json (the summary)
    and <name>.npz (see `EvaluationResult.arrays`) beside it. Raises UserError for a bundle that
    does not fit the robot, a robot that is not simulated, or a process that died.
    """
    if not seeds or len(set(seeds)) < len(seeds) or processes < 1:
        raise UserError(
            f"cannot evaluate {task!r} with {len(set(seeds))} different of {len(seeds)} seeds in "
            f"{processes} processes: name at least 1 of each"
        )
    wire(robot, task)
    delays.require()
    require_drawable(robot)
    bundle = Bundle.load(folder, robot)
    # a corrupt graph is told here, not by each process
    bundle.open_policy()
    bundle.open_eyes()
    journal = Journal(out / f"{bundle.name}-{_key(bundle, robot, task, delays)}")
    missing = [seed for seed in seeds if seed not in journal.rollouts]
    already = len(seeds) - len(missing)
    report(already, len(seeds))
    with closing(rollouts_of(missing, bundle, robot, task, processes, delays)) as fresh:
        for done, finished in enumerate(fresh, already + 1):
            journal.add(finished)
            report(done, len(seeds))
    rollouts = tuple(journal.rollouts[seed] for seed in seeds)
    result = EvaluationResult(bundle, robot, task, journal.folder, rollouts, delays)
    arrays: dict[str, Any] = result.arrays()
    name = f"{bundle.name}{delays.suffix}"
    np.savez_compressed(out / f"{name}.npz", **arrays)
    text = json.dumps(result.summary(), indent=2, allow_nan=False)
    write_text(out / f"{name}.json", text + "\n")
    return result


def _key(bundle: Bundle, robot: Contract, task: str, delays: Delays) -> str:
    """Short hash of all that decides a rollout but its seed."""
    facts = (bundle.manifest.bundle_hash, robot.contract_hash, task, delays, code_hash("sim"))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
