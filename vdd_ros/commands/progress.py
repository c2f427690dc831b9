"""Progress of long work: a bar on a terminal, a plain line every tenth elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(what: str) -> Iterator[Callable[..., None]]:
    """Gives report(done, total, detail=None); detail is a number worth watching, such as a loss."""
    console = Console(stderr=True)
    if console.is_terminal:
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

        def say(done: int, total: int, detail: float | None = None) -> None:
            nonlocal said
            tenth = 10 * done // total
            if tenth > said:
                text = "" if detail is None else f"  {detail:.4g}"
                console.print(f"{what}  {done}/{total}{text}", highlight=False)
                said = tenth

        yield say
