"""How an episode stands: one answer for every task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """Verdict on the episode so far; `success` and every failure are final until the next reset.

    success   the goal was held long enough, nothing was touched, in time (docs: METRICS, Success)
    touched   a contact force acted on the scene at some physics step
    finished  nothing can change any more: success, touch, or time over
    way       which of the task's declared modes was taken, None while undecided
    reason    one short phrase for people: what happened, or "running"
    """

    success: bool
    touched: bool
    finished: bool
    way: "int | None"
    reason: str
