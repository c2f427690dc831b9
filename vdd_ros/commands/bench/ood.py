"""Count false alarms and detections of what tells observations out of distribution.

Fitted on the demonstrations that a run was trained on, calibrated as at export, on those held out
and on further ones, tried on others. Without a run, recordings are split in the order in which they
were made: three fifths to fit, a fifth to calibrate, a fifth to try.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from vdd_ros.commands.bench import circumstances, measure, require_some, warn_if_busy
from vdd_ros.commands.bench.made import made, told
from vdd_ros.commands.config_files import contract_of
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.statistics import wilson

if TYPE_CHECKING:
    from vdd_ros.policies.demonstrations import Split
    from vdd_ros.policies.ood_trial import Alarms
    from vdd_ros.policies.runs import Student
    from vdd_ros.policies.windows import Windows
    from vdd_ros.sim.ood_rollouts import RolloutAlarm

USUAL = "nothing"


@dataclass(frozen=True)
class Args:
    demonstrations: Path | None = None
    """Folder of recorded episodes, without one a few are made; with a run those of them are tried
    that were neither trained nor calibrated on."""
    teacher: Path | None = None
    """Run folder of the teacher whose windows are fitted and calibrated on."""
    student: Path | None = None
    """Run folder of a student of it, to compare with what it says of itself."""
    looked_at: int = 60
    """At most so many episodes are looked at by the student, evenly spread over all."""
    calibration: Path | None = None
    """Folder of further recorded episodes to calibrate on, as of `vdd export`."""
    bundle: Path | None = None
    """Folder of an exported bundle: also let it drive the simulated arm, in scenes of its own."""
    task: str = "avoid"
    """What it does there."""
    rollouts: int = 100
    """How often."""
    false_alarm_rate: float = 0.05
    """That is asked for."""
    clusters: int = 16
    """At most so many, of at least ten episodes each on average; exported bundles have 16."""
    calls: int = 2000
    """Calls of the detector that are timed."""
    seed: int = 0
    """Of clusters and shifts."""


def main(args: Args) -> dict:
    """Print both rates for each shift; raises UserError where there is nothing to try."""
    if (
        min(args.clusters, args.rollouts, args.looked_at) < 1
        or not 0.0 < args.false_alarm_rate < 1.0
    ):
        raise UserError("write 1 or more of what is counted, a false-alarm rate between 0 and 1")
    require_some(1, args.calls)
    import torch

    from vdd_ros.policies.ood import calibrated
    from vdd_ros.policies.ood_trial import alarms_under
    from vdd_ros.policies.shifts import layout_of, shifts_for

    torch.set_num_threads(1)
    split, student = _split(args)
    detector = calibrated(
        split.contract,
        split.normalizer,
        split.training,
        split.calibration,
        args.false_alarm_rate,
        args.seed,
        args.clusters,
    )
    if detector.distance is None:
        raise UserError("there are too few scenes to calibrate on: name more with --calibration")
    layout = layout_of(split.contract, split.training)
    shifts = shifts_for(layout)
    found: dict[str, Alarms] = {}
    with progress("looking at shifted demonstrations") as report:
        for done, (name, shift) in enumerate(shifts.items(), 1):
            found[name] = alarms_under(
                shift, split, layout, detector, student, args.seed, args.looked_at
            )
            report(done, len(shifts))
    window = split.test.observations[0].astype(np.float64)
    measured = measure({"distance": lambda: detector.distance_of(window)}, 1, args.calls)
    result = {
        "rows": [_row(name, alarms, found[USUAL]) for name, alarms in found.items()],
        "threshold": detector.distance._asdict(),
        "running_ticks": detector.running_ticks,
        "clusters": len(detector.clusters.means),
        "episodes": {
            "fitted": _episodes(split.training),
            "calibrated": _episodes(split.calibration),
            "tried": _episodes(split.test),
        },
        "us_per_tick": {
            f"p{percent}": measured.timings["distance"].percentile_us(percent)
            for percent in (50, 99)
        },
        "contract": split.contract.name,
        "policy": told(args.demonstrations is not None),
        "rollouts": _rollouts(args),
        **circumstances(measured, args.seed),
    }
    Console().print(_table(result))
    for row in result["rollouts"]:
        print(
            f"{row['alarms']} of {row['episodes']} rollouts {row['rollouts']} have an alarm, "
            f"{row['alarms_by_then']} of them by the time when half of those that succeed are over"
        )
    warn_if_busy(result)
    return result


def _split(args: Args) -> tuple[Split, Student | None]:
    from vdd_ros.policies.demonstrations import split_of_recordings, split_of_run
    from vdd_ros.policies.runs import load_student, load_teacher

    if args.teacher is None:
        if args.student is not None or args.calibration is not None:
            raise UserError("student and calibration go with a run: name it with --teacher")
        return split_of_recordings(args.demonstrations or made().demonstrations), None
    if args.demonstrations is None:
        raise UserError("a run is tried on recordings that it does not know: --demonstrations")
    student = None if args.student is None else load_student(args.student)
    teacher = load_teacher(args.teacher)
    return split_of_run(teacher, args.calibration, args.demonstrations), student


def _rollouts(args: Args) -> list[dict]:
    """Of a bundle that drives itself: those that succeed, for which an alarm is a false one by all
    that can be said afterwards, and those that fail."""
    if args.bundle is None:
        return []
    from vdd_ros.sim.ood_rollouts import rollout_alarms

    robot = Contract.from_yaml(contract_of(args.task, None))
    with progress("rollouts") as report:
        found = rollout_alarms(args.bundle, robot, args.task, args.rollouts, report)
    usual_s = float(np.median([one.ended_s for one in found if one.success] or [np.nan]))
    return [
        _rollout_row(name, [one for one in found if one.success == is_it], usual_s)
        for name, is_it in (("that succeed", True), ("that fail", False))
    ]


def _rollout_row(name: str, found: list[RolloutAlarm], usual_s: float) -> dict:
    """alarms_by_then: before usual_s, by when half of the successful rollouts have ended; one that
    failed has gone on until its time was over."""
    alarms = np.array([one.alarm_s for one in found])
    count = int(np.isfinite(alarms).sum())
    return {
        "rollouts": name,
        "episodes": len(found),
        "alarms": count,
        "interval": wilson(count, len(found)) if found else None,
        "alarm_p50_s": float(np.nanmedian(alarms)) if count else None,
        "usual_s": usual_s if np.isfinite(usual_s) else None,
        "alarms_by_then": int((alarms <= usual_s).sum()),
    }


def _row(name: str, alarms: Alarms, usual: Alarms) -> dict:
    """One shift. rate: share of episodes with an alarm; auroc: of the largest distance, and of each
    other signal, of shifted episodes against those without a shift."""
    from vdd_ros.policies.ood_trial import auroc

    raised = np.isfinite(alarms.delay_s)
    count, episodes = int(raised.sum()), len(raised)
    signals = {"distance": alarms.scores} | alarms.signals
    theirs = {"distance": usual.scores} | usual.signals
    return {
        "shift": name,
        "episodes": episodes,
        "alarms": count,
        "rate": count / episodes,
        "interval": wilson(count, episodes),
        "delay_p50_s": float(np.median(alarms.delay_s[raised])) if count else None,
        "auroc": {}
        if name == USUAL
        else {signal: auroc(theirs[signal], values) for signal, values in signals.items()},
    }


def _table(result: dict) -> Table:
    columns = list(result["rows"][-1]["auroc"])
    headings = ("alarms", "rate", "95 % interval", "after s", *(f"AUROC {c}" for c in columns))
    threshold, episodes = result["threshold"], result["episodes"]
    table = Table(
        "shift",
        *(Column(heading, justify="right") for heading in headings),
        title=f"{result['contract']}: {episodes['fitted']} episodes fitted, "
        f"{episodes['calibrated']} in {threshold['scenes']} scenes calibrated, "
        f"{episodes['tried']} tried; at most {threshold['false_alarm_rate']:.1%} false alarms "
        f"stated; {result['us_per_tick']['p50']:.1f} us a tick",
    )
    for row in result["rows"]:
        low, high = row["interval"]
        delay = row["delay_p50_s"]
        table.add_row(
            row["shift"],
            f"{row['alarms']} of {row['episodes']}",
            f"{row['rate']:.2f}",
            f"{low:.2f} to {high:.2f}",
            "–" if delay is None else f"{delay:.2f}",
            *(f"{row['auroc'][c]:.2f}" if c in row["auroc"] else "" for c in columns),
        )
    return table


def _episodes(windows: Windows) -> int:
    return len(np.unique(windows.episode))
