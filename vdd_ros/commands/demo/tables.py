"""The demo's tables: rows of plain text, and the two forms they are written in."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import NamedTuple

from vdd_ros.commands.page.table import NONE, Table, number

VERDICTS = {
    True: ("reached", "✓ reached"), False: ("missed", "✗ missed"), None: ("open", "not measured"),
}  # fmt: skip


class Column(NamedTuple):
    """head: over the column; meaning: one sentence below the table."""

    head: str
    meaning: str


COLUMNS = (
    Column("policy", ""),
    Column("success", "reached the line, stayed 0.5 s, touched no cylinder; 95 % interval below"),
    Column("entropy", "how evenly successful rollouts spread over the 24 ways; 1: all alike"),
    Column("ways", "taken at least twice, of 24"),
    Column(
        "NFE",
        "network evaluations for one action chunk; in brackets where it was judged with others",
    ),
    Column("NLL", "of held-out demonstrations, nats per dimension; lower is better"),
    Column(
        "energy distance",
        "to the teacher at the same observation, lower is better; the floor is the teacher "
        "against itself",
    ),
    Column(
        "off support",
        "share of chunks where the teacher has none: samples / means; the teacher's own "
        "share below",
    ),
    Column("parameters", "of the whole network"),
    Column("p50 / p99 µs", "latency of one call for one chunk, numpy in, numpy out, one thread"),
)
LABELS = {"nll": "NLL", "nfe": "NFE", "modes": "ways"}


def policy_table(policies: dict) -> Table:
    """One row per policy of report.json, in its order."""
    rows = [[name, *_cells(policy)] for name, policy in policies.items()]
    return Table([column.head for column in COLUMNS], rows, list(policies))


def missing_figures(policies: dict) -> list[str]:
    """A sentence for each figure that is missing from the table."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, policy in policies.items():
        for field, reason in policy.get("reasons", {}).items():
            label = LABELS.get(field, field.replace("_", " "))
            found.setdefault((label, reason), []).append(name)
    return [f"No {label} of {', '.join(names)}: {why}." for (label, why), names in found.items()]


def acting_rules(policies: dict) -> list[str]:
    """A sentence for each way of taking an action from what the network gives."""
    found: dict[str, list[str]] = {}
    for name, policy in policies.items():
        found.setdefault(policy["acting_rule"], []).append(name)
    return [f"Acting rule of {', '.join(names)}: {rule}." for rule, names in found.items()]


def _cells(policy: dict) -> list[str]:
    """Everything after the name."""
    latency = policy.get("latency_us") or {}
    off_support = (policy["off_support"], policy.get("off_support_means"))
    error = number(policy.get("energy_distance_se"), 4)
    judged_with = number(policy.get("fidelity_nfe", policy["nfe"]), 0)
    if judged_with == number(policy["nfe"], 0):
        judged_with = NONE
    return [
        _lines(percent(policy["success"]), _span(policy.get("success_interval"), percent)),
        number(policy["entropy"], 3),
        number(policy["modes"], 0),
        _lines(number(policy["nfe"], 0), _after("fidelity", judged_with)),
        _lines(number(policy["nll"], 2), _span(policy.get("nll_interval"), number)),
        _lines(
            number(policy["energy_distance"], 4) + ("" if error == NONE else f" ± {error}"),
            _after("floor", number(policy.get("energy_floor"), 4)),
        ),
        _lines(
            _pair(*map(percent, off_support)),
            _after("teacher", percent(policy.get("off_support_teacher"))),
        ),
        NONE if policy["parameters"] is None else f"{policy['parameters'] / 1000:.0f}k",
        _pair(number(latency.get("p50"), 0), number(latency.get("p99"), 0)),
    ]


def goal_table(goals: list[dict]) -> Table:
    """One row per goal: what, measured, wanted, and whether it was reached."""
    rows, kinds = [], []
    for goal in goals:
        kind, verdict = VERDICTS[goal["reached"]]
        wanted = plain(goal["target"]).replace(">=", "≥").replace("<=", "≤")
        rows.append([goal["goal"], plain(goal["value"]), wanted, verdict])
        kinds.append(kind)
    return Table(["goal", "measured", "wanted", "verdict"], rows, kinds)


def to_html(table: Table) -> str:
    """A <table> whose rows have their kind as class."""
    head = "".join(f"<th scope=col>{escape(text)}</th>" for text in table.heads)
    body = ""
    for kind, (first, *rest) in zip(table.kinds, table.rows, strict=True):
        cells = "".join(f"<td>{_html_lines(text)}</td>" for text in rest)
        body += f"<tr class='{kind}'><th scope=row>{escape(first)}</th>{cells}</tr>\n"
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"


def percent(value: float | None) -> str:
    """A share as per cent with one digit; a dash for None."""
    return NONE if value is None else f"{100 * value:.1f}%"


def plain(value: object) -> str:
    """A number shortly, a text as it is, a dash for None."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def _html_lines(text: str) -> str:
    first, _, rest = text.partition("\n")
    return escape(first) + (f"<small>{escape(rest)}</small>" if rest else "")


def _lines(first: str, second: str) -> str:
    return first if first == NONE or not second else f"{first}\n{second}"


def _span(interval: list | None, form: Callable[[float], str]) -> str:
    return "" if interval is None else f"[{form(interval[0])}, {form(interval[1])}]"


def _after(word: str, text: str) -> str:
    return "" if text == NONE else f"({word} {text})"


def _pair(first: str, second: str) -> str:
    return NONE if first == second == NONE else f"{first} / {second}"
