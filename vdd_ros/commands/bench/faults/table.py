"""The table of scenarios, for a terminal and for a page."""

from __future__ import annotations

from rich.table import Table as RichTable

from vdd_ros.commands.page.table import Table, to_markdown

HEADS = [
    "family", "injected", "speed", "reason reported", "to rest", "drives again", "played again",
    "stalls", "verdict",
]  # fmt: skip


def cells_of(row: dict) -> list[str]:
    """One line of the table, as text."""
    rest = row["rest_ms"]
    return [
        row["family"],
        row["injected"],
        f"{row['speed_at_injection']:.0%}" if row["speed_at_injection"] else "at rest",
        short(row["reason"]) or "-",
        "-" if rest is None or not row["reason"] else f"{rest} ms, {row['rest_periods']} periods",
        ("by another node" if row["restarted"] else "yes") if row["recovered"] else "no",
        str(len(row["retries"]) or "-"),
        str(row["stalls"] or "-"),
        "passed" if row["ok"] else f"failed: {'; '.join(row['faults'])}",
    ]


def short(reason: str) -> str:
    """The part of a sentence that is no path."""
    words = [word if "/" not in word else "..." for word in reason.split()]
    return " ".join(words[:12]) + (" ..." if len(words) > 12 else "")


def scenario_table(rows: list[dict]) -> RichTable:
    """For a terminal."""
    table = RichTable(*HEADS, title="faults injected over ROS")
    for row in rows:
        table.add_row(*cells_of(row))
    return table


def scenario_page(rows: list[dict]) -> str:
    """For a page."""
    return to_markdown(Table(HEADS, [cells_of(row) for row in rows]))


def line_of(row: dict) -> str:
    """While scenarios are played."""
    return f"{row['family']}: {row['name']}: " + " | ".join(cells_of(row)[2:])
