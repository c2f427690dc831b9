"""Sections for the node that drives: its simulation's speed, faults, delays, punctuality."""

from __future__ import annotations

import json
import re

from docs.results.result import Result, as_told, lines_of
from vdd_ros.commands.bench.faults.table import scenario_page
from vdd_ros.commands.page.table import Table, to_markdown

BUNDLES = re.compile(r"/\S*/bundles/")


def of_bench_sim(text: str) -> str:
    """The sentence for a measurement of the simulation's speed."""
    result = json.loads(text)
    rates = [f"{row['ticks_per_s']:,.0f} ({row['loop']})" for row in result["rows"]]
    replay = result["replay"]
    return (
        f"`{result['command']}`, {result['hardware']}: {' and '.join(rates)} control ticks of "
        f"{1e3 / result['control_hz']:g} ms a second on one core, "
        f"{result['ratios']['rate_over_robosuite']:.1f} times as many. "
        f"{replay['contexts']} recordings of `{result['task']}`, sent through both loops, end with "
        f"the same verdict in {replay['same_success']}; the largest difference of a joint at the "
        f"end is {replay['max_joint_error_rad']:.1g} rad.\n"
    )


def of_bench_faults(text: str) -> str:
    """The sentence and the table for faults that were injected."""
    result = json.loads(text)
    moving = sum(row["speed_at_injection"] >= 0.5 for row in result["rows"])
    return (
        f"`{result['command']}`, {result['hardware']}: {result['passed']} of "
        f"{result['scenarios']} scenarios of {result['families']} families passed. In {moving} the "
        f"arm moved at half its speed limit or more when something was injected.\n\n"
        f"{scenario_page(result['rows'])}\n"
    )


def of_bench_delays(text: str) -> str:
    """The sentence and the table for delays between arm and policy."""
    result = json.loads(text)
    heads = ["policy", "delay [ms]", "success", "95 %", "entropy", "mean s"]
    rows = [
        [
            row["policy"],
            f"{row['delay_ms']:g}",
            f"{row['success']:.3f}",
            "{:.3f} to {:.3f}".format(*row["success_interval"]),
            "-" if row["entropy"] is None else f"{row['entropy']:.3f}",
            "-" if row["seconds"] is None else f"{row['seconds']:.2f}",
        ]
        for row in result["rows"]
    ]
    head = f"`{result['command']}`, {result['hardware']}, task `{result['task']}`:"
    return f"{head}\n\n{to_markdown(Table(heads, rows))}\n"


def of_bench_control(text: str) -> str:
    """The table for how punctual commands are, one line a rate and sender."""
    heads = [
        "rate [Hz]", "sends after [ms]", "sender", "interval p99 / bare's",
        "lateness p50, p99, p99.9, max [ms]",
        "missed", "CPU", "tick to command p50, p99 [us]", "observation to command",
    ]  # fmt: skip
    found = lines_of(text)
    rows = []
    for one in found:
        bare = one["rows"][0]
        for row in one["rows"]:
            times = [row[name] for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")]
            ways = [
                [row[f"{begin}_to_command_us"][name] for name in ("p50", "p99")]
                for begin in ("tick", "observation")
            ]
            rows.append(
                [
                    f"{one['rate_hz']:g}",
                    f"{one['send_after_s'] * 1e3:g}" if one["send_after_s"] else "-",
                    row["name"],
                    f"{row['p99_interval_ms'] / bare['p99_interval_ms']:.2f}",
                    ", ".join(f"{value:.2f}" for value in times),
                    f"{row['missed']:.2%}",
                    f"{row['cpu']:.0%}",
                    *("-" if way[0] is None else f"{way[0]:.0f}, {way[1]:.0f}" for way in ways),
                ]
            )
    commands = ", ".join(f"`{one['command']}`" for one in found)
    return f"{commands}, {found[0]['hardware']}:\n\n{to_markdown(Table(heads, rows))}\n"


def of_bench_soak(text: str) -> str:
    """The sentence for half an hour of driving."""
    result = json.loads(text)
    return (
        f"`{result['command']}`, {result['hardware']}: {result['seconds'] / 60:.0f} min at "
        f"{result['rate_hz']:g} Hz, {result['commands']:,} commands. Memory grew by "
        f"{result['growth_mib']:.2f} MiB after the warm-up (goal: below 1, "
        f"{'reached' if result['flat'] else 'missed'}) to {result['memory_mib']:.0f}; "
        f"{result['threads_gained']} threads and {result['files_gained']} open files were gained; "
        f"the interval of commands changed by {result['drift']:.2%} of the period from the first "
        f"tenth to the last, and {result['missed']:.2%} of the deadlines were missed.\n"
    )


def faults_tidied(line: dict) -> dict:
    """Reasons that name a bundle do so without where it lay."""
    rows = [row | {"reason": BUNDLES.sub("bundles/", row["reason"])} for row in line["rows"]]
    return as_told(line) | {"rows": rows}


RESULTS = (
    Result("bench_sim.json", "docs/results/index.md", of_bench_sim, lambda line: "replay" in line),
    Result(
        "bench_faults.json",
        "docs/faults.md",
        of_bench_faults,
        lambda line: "families" in line,
        tidied=faults_tidied,
    ),
    Result(
        "bench_delays.json",
        "docs/safety.md",
        of_bench_delays,
        lambda line: "delay_ms" in line.get("rows", [{}])[0],
    ),
    Result(
        "bench_control.jsonl",
        "docs/architecture.md",
        of_bench_control,
        lambda line: "joint_rate_hz" in line,
    ),
    Result(
        "bench_soak.jsonl", "docs/architecture.md", of_bench_soak, lambda line: "growth_mib" in line
    ),
)
