"""The tables that a sweep over tasks ends with: one per task, means over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from vdd_ros.commands.page.table import NONE, Table, number
from vdd_ros.commands.sweep.tasks.claims import NLL, VDD, Claim, claims, with_few_experts
from vdd_ros.commands.sweep.tasks.means import means_table
from vdd_ros.statistics import mean_interval

FIGURES = {
    "success": "success",
    "entropy": "entropy",
    "entropy_dropped": "entropy, dropped",
    "return": "return",
    "nll": "NLL",
    "energy_distance": "energy distance",
    "sliced_w2": "sliced W2",
    "off_support": "off support",
    "off_support_means": "of means",
    "modes": "modes",
}
DIGITS = {"energy_distance": 4, "modes": 1}


def tables(cells: list[dict]) -> list[Table]:
    """Of each teacher with students over all tasks; one for each task and teacher; those of
    ablations; and what was to be shown."""
    few = with_few_experts(cells)
    claimed = teachers(cells)
    return [
        *(means_table(cells, teacher) for teacher in claimed),
        *core_tables(cells),
        *ablation_tables(cells),
        *([few_experts_table(few)] if few else []),
        *(claims_table(claims(cells, teacher)) for teacher in claimed),
    ]


def teachers(cells: list[dict]) -> list[str]:
    """Those with students that something is to be shown of."""
    return list(dict.fromkeys(cell["teacher"] for cell in cells if cell["method"] == VDD))


def core_tables(cells: list[dict]) -> list[Table]:
    """One for each task and teacher, in the order of the cells."""
    core = [cell for cell in cells if not cell["ablation"]]
    return [_table(f"{task}, teacher {teacher}", group) for (task, teacher), group in _groups(core)]


def ablation_tables(cells: list[dict]) -> list[Table]:
    """One for each task and teacher with ablations, below the students that they differ from."""
    return [
        _table(
            f"{task}, teacher {teacher}: ablations",
            [one for one in group if one["ablation"] or one["method"] in (VDD, NLL)],
        )
        for (task, teacher), group in _groups(cells)
        if any(one["ablation"] for one in group)
    ]


def few_experts_table(cells: list[dict]) -> Table:
    """Success and failures, side by side, of students with a quarter of the experts."""
    heads = ["a quarter of the experts", "method", "experts", "success"]
    rows = []
    for (task, _), group in _groups(cells):
        for name in dict.fromkeys(cell["method"] for cell in group):
            seeds = [cell for cell in group if cell["method"] == name]
            means = _figure(cell["off_support_means"] for cell in seeds)
            success = _figure(cell["success"] for cell in seeds)
            rows.append([task, name, _whole(seeds, "experts"), success, _failures(seeds), means])
    return Table([*heads, "failures", "off support of means"], rows)


def claims_table(found: list[Claim]) -> Table:
    """What was to be shown, and whether it was."""
    verdicts = {True: "reached", False: "missed", None: "not all measured"}
    rows = [[claim.goal, claim.figure, verdicts[claim.reached]] for claim in found]
    return Table(["goal", "found", ""], rows)


def _groups(cells: list[dict]) -> list[tuple[tuple[str, str], list[dict]]]:
    """By task and teacher, in the order of the cells."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for cell in cells:
        groups.setdefault((cell["task"], cell["teacher"]), []).append(cell)
    return list(groups.items())


def _table(title: str, cells: list[dict]) -> Table:
    methods = dict.fromkeys(cell["method"] for cell in cells)
    rows = [_row([cell for cell in cells if cell["method"] == name]) for name in methods]
    heads = [title, *FIGURES.values(), "NFE", "experts", "parameters", "p50 / p99 µs"]
    return Table([*heads, "acting rule"], rows)


def _row(seeds: list[dict]) -> list[str]:
    """The means over seeds, with their 95 % intervals below."""
    first = seeds[0]
    return [
        first["method"],
        *(_figure((one.get(name) for one in seeds), DIGITS.get(name, 3)) for name in FIGURES),
        str(first["nfe"]),
        _whole(seeds, "experts"),
        _whole(seeds, "parameters"),
        _latency(seeds),
        first["acting_rule"],
    ]


def _latency(seeds: list[dict]) -> str:
    """p50 and p99, means over seeds; a dash where calls were not timed yet."""
    timed = [one["latency_us"] for one in seeds if one["latency_us"]]
    if not timed:
        return NONE
    return " / ".join(f"{np.mean([one[p] for one in timed]):.0f}" for p in ("p50", "p99"))


def _whole(seeds: list[dict], name: str) -> str:
    """A count; from the least to the largest where seeds differ, as with experts taken out."""
    counts = [one[name] for one in seeds if one[name] is not None]
    if not counts:
        return NONE
    return " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))


def _failures(seeds: list[dict]) -> str:
    """Of how many rollouts, by reason, the most frequent first; what was touched is not told."""
    reasons: Counter[str] = Counter()
    for one in seeds:
        for reason, count in one["failures"].items():
            reasons[reason.partition(":")[0]] += count
    told = [f"{count} {reason}" for reason, count in reasons.most_common()]
    return f"{', '.join(told) or 'none'}, of {sum(len(one['ways']) for one in seeds)}"


def _figure(values: Iterable[float | None], digits: int = 3) -> str:
    known = [float(value) for value in values if value is not None]
    if not known:
        return NONE
    if len(known) == 1:
        return number(known[0], digits)
    mean, low, high = (number(value, digits) for value in mean_interval(np.array(known)))
    return f"{mean}\n[{low}, {high}]"
