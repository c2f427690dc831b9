"""Progress: what is printed where there is no terminal, and how long it says it will take."""

import io

from rich.console import Console

from vdd_ros.commands.progress import progress


def said(reports: list[tuple[int, float]], total: int = 1000) -> list[str]:
    """Lines of a work that reports (done, seconds on the clock)."""
    out, now = io.StringIO(), [0.0]
    with progress("working", Console(file=out, width=80), lambda: now[0]) as report:
        for done, now[0] in reports:
            report(done, total, 0.5)
    return out.getvalue().splitlines()


def test_time_left_is_that_of_the_pace_so_far():
    assert said([(50, 10.0), (150, 30.0), (160, 31.0), (500, 100.0), (1000, 200.0)]) == [
        "working  50/1000  0.5",
        "working  150/1000  0.5  3 min left",
        "working  500/1000  0.5  100 s left",
        "working  1000/1000  0.5",
    ]


def test_what_was_done_before_it_was_taken_up_is_not_counted_as_fast():
    assert said([(900, 5.0), (1000, 25.0)], total=2000)[1] == "working  1000/2000  0.5  3 min left"


def test_of_several_processes_one_shows_it(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert said([(50, 10.0), (1000, 30.0)]) == []


def test_a_terminal_gets_a_bar_with_time_left():
    out = io.StringIO()
    with progress("working", Console(file=out, force_terminal=True, width=80)) as report:
        report(1, 2, 0.25)
        report(2, 2, 0.125)
    assert "2/2" in out.getvalue() and "0:00:00" in out.getvalue() and "0.125" in out.getvalue()
