"""report.json: every figure of the demo in one place, taken from the results of its stages."""

from __future__ import annotations

import json

import numpy as np
from rich.console import Console
from rich.table import Table

from vdd_ros.code_version import commit
from vdd_ros.commands.demo.settings import command_line
from vdd_ros.commands.demo.stages import POLICIES, STUDENTS, read_result
from vdd_ros.commands.demo.tables import VERDICTS
from vdd_ros.sim.avoid_field import N_WAYS

NO_DENSITY = "a diffusion policy has no tractable density"
NO_MEANS = "a diffusion policy has no experts whose means it could execute"


def summarise(args, seconds: dict[str, float], resumed: bool) -> dict:
    """The whole report; resumed: whether a stage was taken over from an earlier call."""
    latency = read_result(args, "latency.json")
    ros, certificate = read_result(args, "ros.json"), read_result(args, "certificate.json")
    ros.pop("verdicts")
    rollouts = {name: _rollouts(args, name) for name in POLICIES}
    policies = {name: _policy(args, name, rollouts[name]["summary"], latency) for name in POLICIES}
    _copy_intervals(args)
    report = {
        "policies": policies,
        "ros": ros,
        "certificate": {name: certificate[name] for name in ("grade", "failed", "missing")},
        "seconds": round(sum(seconds.values()), 1),
        "stages": seconds,
        "resumed": resumed,
        "ratios": latency["ratios"],
        "hardware": latency["hardware"],
        "commit": commit(),
        "seed": args.seed,
        "command": command_line(),
    }
    return report | {"goals": _goals(report, rollouts, args.seed)}


def _policy(args, name: str, rollout: dict, latency: dict) -> dict:
    fidelity = read_result(args, f"fidelity/{name}.json")
    teacher = read_result(args, "fidelity/teacher.json")
    row = _latency(name, latency)
    fields = ("nll", "nll_interval", "energy_distance", "energy_distance_se", "energy_floor")
    figures = {
        "success": rollout["success"],
        "success_interval": rollout["success_interval"],
        "entropy": rollout["entropy"],
        "modes": rollout["modes"],
        "modes_taken": rollout["modes_taken"],
        "nfe": {"teacher": 10}.get(name, 1),
        "fidelity_nfe": fidelity["nfe"],  # the teacher is judged by its best sampler
        **{field: fidelity.get(field) for field in fields},
        "sliced_w2": fidelity["sliced_w2"],
        "off_support": fidelity["off_support"],
        "off_support_means": fidelity["off_support_means"],
        "off_support_teacher": teacher["off_support"],
        "parameters": fidelity["parameters"],
        "acting_rule": rollout["acting_rule"],
        "latency_us": row,
    }
    reasons = {} if name in STUDENTS else {"nll": NO_DENSITY, "off_support_means": NO_MEANS}
    return figures | {"reasons": reasons}


def _latency(name: str, latency: dict) -> dict:
    """p50 and p99 of the fastest form measured of this policy."""
    of = "teacher-10" if name == "teacher" else name
    of_it = [row for row in latency["rows"] if row["policy"] == of]
    rows = [row for row in of_it if not row["form"].startswith("torch")]  # never on the robot
    best = min(rows, key=lambda row: row["p50_us"])
    return {"p50": best["p50_us"], "p99": best["p99_us"], "form": best["form"]}


def _rollouts(args, name: str) -> dict:
    """Summary of a policy's rollouts, and the way of each success, None for each failure."""
    folder = args.out / "rollouts"
    with np.load(folder / f"{name}.npz") as arrays:
        pairs = zip(arrays["ways"].tolist(), arrays["success"].tolist(), strict=True)
    won = [way if success else None for way, success in pairs]
    return {"summary": json.loads((folder / f"{name}.json").read_text()), "ways": won}


def _copy_intervals(args) -> None:
    source = args.out / "results" / "ros_intervals.npz"
    (args.out / "ros_intervals.npz").write_bytes(source.read_bytes())


def _goals(report: dict, rollouts: dict, seed: int) -> list[dict]:
    """What the demo has to reach, and whether it did."""
    from vdd_ros.statistics import Pair, equal_to_teacher

    policies, ros = report["policies"], report["ros"]
    teacher, vdd, paper = (policies[name] for name in ("teacher", "vdd", "vdd-paper"))
    pair = Pair(rollouts["vdd"]["ways"], rollouts["teacher"]["ways"], N_WAYS)
    success = equal_to_teacher([pair], "success", 0.97, seed)
    entropy = equal_to_teacher([pair], "entropy", 0.95, seed)
    ratio = vdd["parameters"] / vdd_teacher if (vdd_teacher := teacher["parameters"]) else 0.0

    def at_least(goal: str, value: float | None, target: float) -> dict:
        reached = value is not None and value >= target
        return {"goal": goal, "value": value, "target": f">= {target:g}", "reached": reached}

    def below(goal: str, value: float, target: float, note: str = "") -> dict:
        return {
            "goal": goal,
            "value": value,
            "target": f"< {target:.4g}{note}",
            "reached": value < target,
        }

    def equal(goal: str, found, target: float) -> dict:
        return {
            "goal": goal,
            "value": found.mean_ratio,
            "target": f">= {target:g}, and the difference's lower bound >= -0.05 "
            f"(it is {found.differences[0].lower:.3f})",
            "reached": found.equal,
        }

    return [
        at_least("teacher: success", teacher["success"], 0.95),
        at_least("teacher: entropy", teacher["entropy"], 0.85),
        equal("vdd / teacher: success", success, 0.97),
        equal("vdd / teacher: entropy", entropy, 0.95),
        at_least("vdd: ways taken, twice or more each", vdd["modes"], 20),
        *(
            below(f"vdd: {what} below vdd-paper's", vdd[key], paper[key], " (vdd-paper)")
            for what, key in (
                ("energy distance", "energy_distance"),
                ("off-support mass", "off_support"),
                ("NLL", "nll"),
            )
        ),
        at_least("over ROS: success", ros["success"], 0.9),
        at_least("over ROS: commands per second", ros["command_rate_hz"], 99.0),
        below("over ROS: stale repeats", ros["stale_share"], 0.01),
        at_least(
            "10-step teacher / vdd, one call", report["ratios"]["teacher10_over_student_p50"], 12.0
        ),
        {
            "goal": "vdd: parameters / teacher's",
            "value": ratio,
            "target": "0.8 to 1.0",
            "reached": 0.8 <= ratio <= 1.0,
        },
        _whole_demo(report["seconds"] / 60, report["resumed"]),
    ]


def _whole_demo(minutes: float, resumed: bool) -> dict:
    """Stages of several calls do not add up to the time of one."""
    return {
        "goal": "whole demo [min]",
        "value": None if resumed else minutes,
        "target": "< 25" + (" (resumed: not measured)" if resumed else ""),
        "reached": None if resumed else minutes < 25.0,
    }


def certificate_told(found: dict) -> str:
    """What the certificate of vdd says, in one sentence."""
    told = f"The certificate of vdd: grade {found['grade']}"
    for word, names in (("failed", found["failed"]), ("not measured", list(found["missing"]))):
        told += f"; {word}: {', '.join(names)}" if names else ""
    return f"{told}."


def print_summary(report: dict) -> None:
    """The table, the certificate's grade and the goals, on the terminal."""
    console = Console()
    table = Table(
        "policy", "success", "entropy", "ways", "NLL", "energy d.", "off-support", "p50 us"
    )
    for name, row in report["policies"].items():
        latency = row["latency_us"]
        cells = (row["success"], row["entropy"], row["modes"], row["nll"], row["energy_distance"])
        table.add_row(
            name,
            *("–" if cell is None else f"{cell:.3g}" for cell in cells),
            f"{row['off_support']:.3f}",
            f"{latency['p50']:.0f}",
        )
    console.print(table)
    console.print(certificate_told(report["certificate"]))
    goals = Table("goal", "measured", "target", "")
    for goal in report["goals"]:
        value = "–" if goal["value"] is None else f"{goal['value']:.4g}"
        goals.add_row(goal["goal"], value, goal["target"], VERDICTS[goal["reached"]][1])
    console.print(goals)
