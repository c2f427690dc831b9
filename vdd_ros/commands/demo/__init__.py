"""The main job from end to end, everything measured here and now.

Demonstrations over ROS, teacher, three students, bundles, rollouts, latency, a run over ROS in real
time, and a report page.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from vdd_ros.commands.config_files import config_file
from vdd_ros.contract import Contract
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError

MARK = "settings.json"  # what tells a folder of ours from one that must not be emptied


@dataclass(frozen=True)
class Args:
    out: Path = Path("out/demo")
    """Folder of everything the demo makes; an earlier demo there is replaced."""
    contract: Path = Path("config/panda_avoid.yaml")
    """The robot's contract."""
    seed: int = 0
    """Seed of everything random."""
    demonstrations: int = 288
    """Demonstrations to record over ROS; the last tenth is never trained on."""
    rollouts: int = 200
    """Rollouts of each policy in simulated time."""
    ros_episodes: int = 20
    """Episodes over ROS in real time."""
    teacher_steps: int = 28_000
    """Gradient steps of the teacher."""
    student_steps: int = 6_000
    """Gradient steps of each student."""
    resume: bool = False
    """Go on where an earlier demo with the same settings was broken off."""


def main(args: Args) -> dict:
    """Run every stage, print the table and where the page is; raises UserError if a stage fails."""
    from vdd_ros.commands.demo.stages import STAGES
    from vdd_ros.commands.demo.summary import print_summary, summarise

    args = replace(args, contract=config_file(args.contract))
    Contract.from_yaml(args.contract)
    for name in ("demonstrations", "rollouts", "ros_episodes", "teacher_steps", "student_steps"):
        if getattr(args, name) < (least := 2 if name == "demonstrations" else 1):
            raise UserError(f"{name} is {getattr(args, name)}; the demo needs at least {least}")
    _prepare(args)
    seconds: dict[str, float] = {}
    resumed = False
    for number, (name, stage) in enumerate(STAGES.items(), start=1):
        done = args.out / "stages" / f"{name}.json"
        if done.exists():
            seconds[name] = json.loads(done.read_text())["seconds"]
            resumed = True
            continue
        print(f"[{number}/{len(STAGES)}] {stage.__doc__}", flush=True)
        started = time.monotonic()
        stage(args)
        seconds[name] = round(time.monotonic() - started, 1)
        write_text(done, json.dumps({"seconds": seconds[name]}))
        print(f"      {seconds[name]:.0f} s", flush=True)
    report = summarise(args, seconds, resumed)
    write_text(args.out / "report.json", json.dumps(report, indent=2, allow_nan=False))
    from vdd_ros.commands.demo.page import write_page

    page = write_page(args.out)
    print_summary(report)
    print(f"the whole story with pictures: {page}")
    return report


def _prepare(args: Args) -> None:
    """An empty folder with the settings in it, or the one to resume."""
    settings = {
        key: str(value) for key, value in vars(args).items() if key not in ("resume", "out")
    }
    mark = args.out / MARK
    if args.resume and mark.exists():
        if json.loads(mark.read_text()) != settings:
            raise UserError(f"{args.out} was made with other settings: leave out --resume")
        return
    if args.out.exists() and any(args.out.iterdir()) and not mark.exists():
        raise UserError(
            f"{args.out} holds something that is not a demo: name another folder with --out"
        )
    shutil.rmtree(args.out, ignore_errors=True)
    for folder in ("logs", "stages", "results", "rollouts"):
        (args.out / folder).mkdir(parents=True)
    write_text(mark, json.dumps(settings))
