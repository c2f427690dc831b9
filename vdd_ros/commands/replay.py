"""Send a recorded episode to the simulator again, through the gate, with every limit in force.

sim_node, command_gate and replay_node run in processes and a ROS domain of their own, on simulated
time unless told otherwise. On a robot, start `command_gate` and `replay_node` yourself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.processes import Nodes, free_domain, require_domain

POLL_S = 0.2
START_S, SLOWEST = 60.0, 10.0  # [s] for the nodes to begin; times the length of the episode


@dataclass(frozen=True)
class Args:
    episode: Positional[Path]
    """Folder of the episode."""
    contract: Path
    """The robot's contract."""
    task: str | None = None
    """The simulated task; the one the episode was recorded in if not given."""
    real_time: bool = False
    """At the robot's own pace, to be watched, instead of as fast as the simulator goes."""
    domain: int | None = None
    """ROS_DOMAIN_ID of the three nodes; a free one if not given."""
    log: Path = Path("out/replay")
    """Folder of what the nodes write."""


def main(args: Args) -> dict:
    """Replay and say how it went; `ok` is False where the task was not done."""
    require_domain(args.domain)
    contract = Contract.from_yaml(args.contract)
    folder = args.episode.resolve()
    episode = EpisodeStore(folder.parent, contract).load(folder.name)
    task = args.task or episode.manifest.meta.get("simulated_task")
    if not isinstance(task, str):
        raise UserError(
            f"{folder} does not say which simulated task it is of: name one with --task"
        )
    facts = {"contract": args.contract.resolve(), "use_sim_time": not args.real_time}
    time_base = "wall" if args.real_time else "sim"
    recorded_in = episode.manifest.meta.get("simulated_task")
    has_scene = "scene" in episode.manifest.meta and recorded_in == task
    scene = {"scene": folder} if has_scene else {}
    domain = free_domain() if args.domain is None else args.domain
    with Nodes(args.log, domain) as nodes:
        nodes.start(
            "sim_node",
            {"contract": facts["contract"], "time_base": time_base, "task": task, **scene},
        )
        nodes.start("command_gate", facts)
        nodes.start("replay_node", {**facts, "episode": folder})
        deadline = time.monotonic() + START_S + SLOWEST * episode.manifest.duration_s
        while nodes.ended("replay_node") is None:
            nodes.check(may_end="replay_node")
            if time.monotonic() > deadline:
                raise UserError(f"the replay does not come to an end: read what is in {args.log}")
            time.sleep(POLL_S)
        nodes.check(may_end="replay_node")
        told = nodes.last_line("sim_node")
    success = "done: success" in (args.log / "replay_node.log").read_text(encoding="utf-8")
    print(f"{folder.name}: {'success' if success else 'no success'}; the simulator said: {told}")
    return {"ok": success, "episode": folder.name, "task": task, "success": success}
