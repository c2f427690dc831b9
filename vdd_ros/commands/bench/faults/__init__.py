"""Break things around a swinging arm, over real ROS, and judge every command from outside.

`sim_node` and `action_node` run as on a robot, with relays between them that drop, delay, corrupt
and repeat; processes are killed, stopped and starved. A checker that shares no code with the node
reads the recorded bytes: finite, within every limit, no jump, at rest in the stated time, the right
reason, and driving again on request.
"""

from __future__ import annotations

import json
import re
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import arg

from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.faults.recorded import TRAJECTORY
from vdd_ros.commands.bench.faults.scenarios import SCENARIOS
from vdd_ros.commands.bench.faults.scenarios.base import Scenario
from vdd_ros.commands.bench.faults.sight import with_cameras
from vdd_ros.commands.bench.faults.table import line_of, scenario_table
from vdd_ros.commands.config_files import config_file
from vdd_ros.contract import Contract
from vdd_ros.environment import draw_off_screen
from vdd_ros.errors import UserError

SEED = 0  # nothing is drawn


@dataclass(frozen=True)
class Args:
    contract: Annotated[Path, arg(metavar="YAML")] = Path("config/panda_faults.yaml")
    """The simulated arm's contract, of the task `push`."""
    only: str = ""
    """A regular expression: only scenarios with such a family and name ('e-stop: short')."""
    logs: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Keep what the nodes said, and the recordings of rows that failed, in this folder."""


def main(args: Args) -> dict:
    """Play the scenarios and print the table; raises UserError where nothing can be played."""
    chosen = selected(args.only)
    contract = Contract.from_yaml(config_file(args.contract))
    with tempfile.TemporaryDirectory() as name:
        folder = args.logs or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        rows = play_all(folder, contract, chosen)
    result = result_of(rows)
    Console().print(scenario_table(rows))
    print(f"{result['passed']} of {result['scenarios']} scenarios passed")
    return result


def selected(pattern: str) -> list[Scenario]:
    """Scenarios whose 'family: name' has the pattern in it; raises UserError where none has."""
    try:
        found = [one for one in SCENARIOS if re.search(pattern, f"{one.family}: {one.name}")]
    except re.error as error:
        raise UserError(f"only is {pattern!r}, no regular expression ({error})") from None
    if not found:
        raise UserError(f"no scenario matches {pattern!r}: write a part of a family or of a name")
    return found


def play_all(folder: Path, contract: Contract, chosen: list[Scenario]) -> list[dict]:
    """A row of each; those that need one and the same node follow each other."""
    from vdd_ros.commands.bench.faults.play import play, unplayed
    from vdd_ros.commands.bench.faults.stage import Stage

    if any(one.sees for one in chosen):
        require_drawn(with_cameras(contract))
    rows: list[dict] = []
    for (commands, sees), group in groupby(chosen, key=lambda one: (one.commands, one.sees)):
        own = folder / ("seeing" if sees else commands)
        own.mkdir(exist_ok=True)
        robot = commanded_by(contract, commands)
        with Stage(own, with_cameras(robot) if sees else robot) as stage:
            for scenario in group:
                try:
                    row, recording = play(stage, scenario)
                except UserError as error:
                    row, recording = unplayed(scenario, error), {"messages": {}, "events": []}
                    stage.start_over()
                print(line_of(row), flush=True)
                rows.append(row)
                if not row["ok"]:
                    keep(folder, recording, len(rows))
    return rows


def require_drawn(contract: Contract) -> None:
    """Raise UserError where what its cameras see cannot be drawn, before anything is played."""
    draw_off_screen()
    from vdd_ros.sim.cameras import require_drawable

    require_drawable(contract)


def commanded_by(contract: Contract, commands: str) -> Contract:
    """The contract of the arm where it is commanded by positions, or by trajectories."""
    if commands == "positions":
        return contract
    raw = contract.to_dict()
    raw["streams"]["robot_command"] |= {
        "type": TRAJECTORY,
        "timeline": "header",
        "topic": "/joint_trajectory_controller/joint_trajectory",
    }
    return Contract.from_dict(raw, f"contract {contract.name}, by trajectories")


def keep(folder: Path, recording: dict, number: int) -> None:
    """The recording of a row that failed, for whoever wants to know why."""
    plain = {
        "messages": {
            topic: [[sent_ns, b64encode(data).decode()] for sent_ns, data in found]
            for topic, found in recording["messages"].items()
        },
        "events": recording["events"],
    }
    (folder / f"failed-{number}.json").write_text(json.dumps(plain))


def result_of(rows: list[dict]) -> dict:
    """The whole of the `--json` line."""
    passed = sum(row["ok"] for row in rows)
    return {
        "ok": passed == len(rows),
        "scenarios": len(rows),
        "passed": passed,
        "played_again": sum(len(row["retries"]) for row in rows),
        "machine_stalls": sum(row["stalls"] for row in rows),
        "families": len({row["family"] for row in rows}),
        "rows": rows,
        **origin(SEED),
    }
