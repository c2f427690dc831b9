"""Sections for recordings: what a recorder keeps, what damage is found, how fast they are read."""

from __future__ import annotations

import json
import re

from docs.results.result import Result, as_told, lines_of
from vdd_ros.commands.page.table import Table, to_markdown

DAMAGED = re.compile(r"/\S*/damaged/?")


def of_recorder_kill(text: str) -> str:
    """The table for kills of a recorder, one line a fault and contract."""
    heads = [
        "contract", "fault", "kills", "saved", "lost", "altered", "older than 1 s, recovered",
        "refused by the disk", "set aside", "killed while",
    ]  # fmt: skip
    found = lines_of(text)
    rows = [
        [
            one["contract"],
            one["fault"],
            str(one["times"]),
            str(one["saved"]),
            str(one["saved_lost"]),
            str(one["saved_altered"]),
            "-"
            if one["recovered_fraction"] is None
            else f"{one['recovered_fraction']:.2%} of {one['old_messages']:,}",
            str(one["refused_by_disk"]),
            str(one.get("set_aside", "-")),
            ", ".join(f"{phase} {count}" for phase, count in one["killed_while"].items()),
        ]
        for one in found
    ]
    commands = ", ".join(f"`{one['command']}`" for one in found)
    return f"{commands}, {found[0]['hardware']}:\n\n{to_markdown(Table(heads, rows))}\n"


def of_bench_recorder(text: str) -> str:
    """The tables for what a recorder keeps and how fast it writes, of the last line."""
    result = lines_of(text)[-1]
    live = [row for row in result["rows"] if "sent" in row]
    saturated = [row for row in result["rows"] if "ratio" in row]
    heads = [
        "pictures", "sent", "dropped", "MB/s", "joint states late p50, p99 [ms]",
        "CPU of joints, of cameras",
    ]  # fmt: skip
    rows = [
        [
            row["name"],
            ", ".join(f"{name} {count:,}" for name, count in row["sent"].items()),
            str(row["dropped"]),
            f"{row['mb_per_s']:.1f}",
            ", ".join(f"{row['joint_delay_ms'][name]:.2f}" for name in ("p50", "p99")),
            ", ".join(f"{row['cpu'][name]:.0%}" for name in ("joints", "cameras")),
        ]
        for row in live
    ]
    written = [
        [
            row["name"],
            f"{row['chunk_bytes'] >> 10} KiB, {row['compression']}",
            f"{row['mb_per_s']:.0f}",
            f"{row['bare_mb_per_s']:.0f}",
            f"{row['ratio']:.3f} ({row['ratio_least']:.3f} to {row['ratio_most']:.3f})",
        ]
        for row in saturated
    ]
    ratio = result["ratios"]["rate_over_bare_writer"]
    return "\n\n".join([
        f"`{result['command']}`, {result['hardware']}, load average {result['load_average']:.1f} "
        f"before it began: {result['dropped']} dropped (goal: 0), "
        f"{ratio:.3f} of the bare writer's rate (goal: 0.9, "
        f"{'reached' if ratio >= 0.9 else 'missed'}).",
        to_markdown(Table(heads, rows)),
        to_markdown(Table(["messages", "chunks", "MB/s", "bare MB/s", "ratio"], written)),
    ]) + "\n"  # fmt: skip


def of_recorder_prefixes(text: str) -> str:
    """The table for power cuts after every operation of a session, one line a recorder."""
    result = json.loads(text)
    heads = ["recorder", "disks", "saved", "lost", "altered", "half there", "first loss"]
    rows = [
        [
            row["recorder"],
            *(f"{row[name]:,}" for name in ("disks", "saved", "lost", "altered", "half_there")),
            row["first_loss"] or "none",
        ]
        for row in result["rows"]
    ]
    done = ", ".join(f"{name} {count}" for name, count in result["operations"].items())
    return (
        f"`{result['command']}`, {result['hardware']}: {result['prefixes']} beginnings of a "
        f"session ({done}); `saved` counts every episode that had been said to be saved on every "
        f"disk:\n\n"
        f"{to_markdown(Table(heads, rows))}\n"
    )


def of_damage(text: str) -> str:
    """The sentence and the table for kinds of damage."""
    result = json.loads(text)
    heads = [
        "where", "done to it", "`vdd dataset check`", "because", "training", "decoded before",
    ]  # fmt: skip
    rows = [
        [
            *(row["family"], row["told"], row["verdict"], reason_of(row)),
            *(row["training"], row["training_again"]),
        ]
        for row in result["rows"]
    ]
    return (
        f"`{result['command']}`: {result['found']} of {result['kinds']} kinds are found and named, "
        f"and none is trained on unawares.\n\n{to_markdown(Table(heads, rows))}\n"
    )


def reason_of(row: dict) -> str:
    """A reason without what to do about it."""
    return re.split(r"; (?:restore|record)|: (?:restore it|give the)", row["reason"])[0]


def of_bench_loader(text: str) -> str:
    """The table for examples that are read from disk, one line a size of the file."""
    found = lines_of(text)
    names = [row["name"] for row in found[0]["rows"]]
    heads = ["file [GiB]", *(f"{name} [1/s]" for name in names), "warm / memory",
             "cold / training", "memory at the most, above the start [MiB]"]  # fmt: skip
    rows = [
        [
            f"{one['file_mib'] / 1024:.1f}",
            *(f"{row['samples_per_s']:,.0f}" for row in one["rows"]),
            f"{one['ratios']['warm_over_memory']:.2f}",
            f"{one['ratios']['cold_over_training']:.1f}",
            f"{one['peak_mib'] - one['begin_mib']:.0f}",
        ]
        for one in found
    ]
    commands = ", ".join(f"`{one['command']}`" for one in found)
    shares = ", ".join(f"{one['cpu_share']:.0%}" for one in found)
    head = f"{commands}, {found[0]['hardware']}, one thread, batches of {found[0]['batch']}"
    told = f"{shares} of the wall time was processor time."
    return f"{head}: {told}\n\n{to_markdown(Table(heads, rows))}\n"


def damage_tidied(line: dict) -> dict:
    """Reasons do not say where the damaged copy lay."""
    rows = [row | {"reason": DAMAGED.sub("", row["reason"])} for row in line["rows"]]
    return as_told(line) | {"rows": rows}


RESULTS = (
    Result(
        "bench_recorder_kill.jsonl",
        "docs/recording.md",
        of_recorder_kill,
        lambda line: "killed_while" in line,
    ),
    Result(
        "bench_recorder.jsonl",
        "docs/recording.md",
        of_bench_recorder,
        lambda line: "dropped" in line,
    ),
    Result(
        "bench_recorder_prefixes.jsonl",
        "docs/recording.md",
        of_recorder_prefixes,
        lambda line: "prefixes" in line,
    ),
    Result(
        "bench_damage.json",
        "docs/datasets.md",
        of_damage,
        lambda line: "found" in line and "kinds" in line,
        tidied=damage_tidied,
    ),
    Result(
        "bench_loader.jsonl",
        "docs/data.md",
        of_bench_loader,
        lambda line: "warm_over_memory" in line.get("ratios", {}),
    ),
)
