"""How an episode stands: one answer for every task."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """Verdict on the episode so far; `success` and every failure are final until the next reset.

    success   the goal was held long enough, nothing was touched that must not be, in time
              (docs: METRICS, Success)
    finished  nothing can change any more: success, failure, or time over
    way       which of the task's declared modes was taken, None while undecided
    reason    one short phrase for people: what happened, or "running"
    done      sub-tasks done at the end; their mean over rollouts is the task's return
    """

    success: bool
    finished: bool
    way: int | None
    reason: str
    done: int = 0
