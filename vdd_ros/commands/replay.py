"""Send a recorded episode to the simulator again, through the gate, with every limit in force.

sim_node, command_gate and replay_node run in processes of their own, in a ROS domain of their own,
on simulated time. On a robot, start `command_gate` and `replay_node` yourself.
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


@dataclass(frozen=True)
class Args:
    episode: Positional[Path]
    """Folder of the episode."""
    contract: Path
    """The robot's contract."""
    task: str | None = None
    """The simulated task; the one the episode was recorded in if not given."""
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
    facts = {"contract": args.contract.resolve(), "use_sim_time": True}
    scene = {"scene": folder} if "scene" in episode.manifest.meta else {}
    domain = free_domain() if args.domain is None else args.domain
    with Nodes(args.log, domain) as nodes:
        nodes.start(
            "sim_node",
            {"contract": facts["contract"], "time_base": "sim", "task": task, **scene},
        )
        nodes.start("command_gate", facts)
        nodes.start("replay_node", {**facts, "episode": folder})
        while nodes.ended("replay_node") is None:
            nodes.check(may_end="replay_node")
            time.sleep(POLL_S)
        nodes.check(may_end="replay_node")
        last = nodes.last_line("replay_node")
        told = nodes.last_line("sim_node")
    success = last.endswith("done: success")
    print(f"{folder.name}: {'success' if success else 'no success'}; the simulator said: {told}")
    return {"ok": success, "episode": folder.name, "task": task, "success": success}
