"""Progress of long work with time left: a bar on a terminal, a plain line every tenth elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vdd_ros.environment import is_first_process


@contextmanager
def progress(
    what: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[..., None]]:
    """Gives report(done, total, detail=None); detail is a number worth watching, such as a loss.

    Of several processes that do one work the first alone shows it.
    """
    console = console or Console(stderr=True)
    if not is_first_process():
        yield lambda done, total, detail=None: None
    elif console.is_terminal:
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, detail="")

            def show(done: int, total: int, detail: float | None = None) -> None:
                text = "" if detail is None else f"{detail:.4g}"
                bar.update(task, completed=done, total=total, detail=text)

            yield show
    else:
        said = -1
        began: tuple[int, float] | None = None  # what is taken up was done before

        def say(done: int, total: int, detail: float | None = None) -> None:
            nonlocal said, began
            tenth, now = 10 * done // total, clock()
            if began is None:
                began = done, now
            if tenth > said:
                text = "" if detail is None else f"  {detail:.4g}"
                if began[0] < done < total:
                    each = (now - began[1]) / (done - began[0])
                    text += f"  {_duration(each * (total - done))} left"
                console.print(f"{what}  {done}/{total}{text}", highlight=False)
                said = tenth

        yield say


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
