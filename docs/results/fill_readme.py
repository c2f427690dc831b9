"""Write the figures of docs/results/ into README.md and docs/, each between its two markers.

    python docs/results/fill_readme.py [out/demo/report.json] [out/g1_bottle/cells.jsonl] [sim.json]
        [ring8.jsonl] [distill.json] [faults.json] [delays.json] [latency.json]
        [recorder_kill.jsonl]
        [control.jsonl] [soak.json] [recorder.jsonl] [loader.jsonl] [recorder_prefixes.jsonl]
        [damage.json] [bundle.json] [out/methods/cells.jsonl] [calibration.json]

What is named is first taken over: a report as demo.json, the cells of a sweep under its name, the
JSON lines of `vdd bench sim --json`, `distill`, `faults` and `delays` as bench_sim.json and so on.
Of a sweep over tasks plots are drawn, too, into docs/pictures/, and of its rollouts in `avoid`;
all tables of a sweep go to a page beside its cells. The plots of a sweep over beds are copied. A
result that is not there leaves nothing between its markers.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from vdd_ros.commands.bench.calibration.pictures import pictures as calibration_pictures
from vdd_ros.commands.bench.faults.table import scenario_page
from vdd_ros.commands.bench.pictures import cost_picture
from vdd_ros.commands.demo.pictures import Rollouts, routes_beside
from vdd_ros.commands.demo.tables import goal_table, missing_figures, policy_table
from vdd_ros.commands.page.table import Table, to_markdown
from vdd_ros.commands.sweep.beds.page import section as section_of_beds
from vdd_ros.commands.sweep.beds.plan import BedsPlan
from vdd_ros.commands.sweep.cells import origin, page
from vdd_ros.commands.sweep.episodes.table import folds_table, held_out_table
from vdd_ros.commands.sweep.tasks.claims import claims
from vdd_ros.commands.sweep.tasks.means import means_table
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.plots import plots
from vdd_ros.commands.sweep.tasks.table import claims_table, tables, teachers

NOT_MEASURED = "not measured"
ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PICTURES = ROOT / "docs" / "pictures"
SHOWN = {
    "behaviour": "Success and entropy in each task, means over seeds with 95 % intervals",
    "fidelity": "Energy distance and off-support mass in each task, and the teacher's own",
}


def of_demo(text: str) -> str:
    """The section for a report of the demo."""
    report = json.loads(text)
    goals = report["goals"]
    reached = sum(goal["reached"] is True for goal in goals)
    machine = report["hardware"]
    parts = [
        f"`{report['command']}`, {report['seconds'] / 60:.0f} min, {machine}: "
        f"{reached} of {len(goals)} goals reached.",
        to_markdown(policy_table(report["policies"])),
        " ".join(missing_figures(report["policies"])),
        to_markdown(goal_table(goals)),
    ]
    return "\n\n".join(parts) + "\n"


def of_sweep(text: str) -> str:
    """The section for the cells of a sweep over episodes."""
    cells = cells_of(text)
    splits = len({cell["split"] for cell in cells})
    head = f"`{cells[0]['command']}`, {splits} splits, {cells[0]['hardware']}:"
    return (
        "\n\n".join([head, *map(to_markdown, (held_out_table(cells), folds_table(cells)))]) + "\n"
    )


def of_tasks(text: str) -> str:
    """The section, with its heading, for the cells of a sweep over tasks."""
    cells = cells_of(text)
    name, seeds = cells[0]["benchmark"], {cell["seed"] for cell in cells}
    parts = [
        f"## {name.replace('_', ' ').capitalize()}",
        f"{origin(cells)}: {counted(len(seeds), 'seed')}, {len(cells[0]['ways'])} rollouts of each "
        f"policy. Figures are means over seeds and tasks. All tables: "
        f"[docs/results/{name}.md](docs/results/{name}.md).",
    ]
    plan = TasksPlan.from_yaml(ROOT / "config" / "benchmarks" / f"{name}.yaml")
    if lacking := left_out(plan, cells):
        parts.append(
            f"**Not measured yet, and in no figure: {lacking}.** Until then no goal counts."
        )
    for teacher in teachers(cells):
        parts += [
            to_markdown(means_table(cells, teacher)),
            to_markdown(claims_table(claims(cells, teacher))),
            *(
                f"![{told}](docs/pictures/{name}_{teacher}_{plot}.png)"
                for plot, told in SHOWN.items()
            ),
        ]
    return "\n\n".join(parts) + "\n"


def counted(count: int, noun: str) -> str:
    """With its plural."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def left_out(plan: TasksPlan, cells: list[dict]) -> str:
    """What of a plan no cell is of, by name."""
    wanted = {
        "tasks": plan.tasks,
        "seeds": plan.seeds,
        "teachers": plan.teachers,
        "ablations": [*plan.ablations, *plan.acting],
    }
    keys = {"tasks": "task", "seeds": "seed", "teachers": "teacher", "ablations": "method"}
    told = []
    for kind, names in wanted.items():
        found = {cell[keys[kind]] for cell in cells}
        if lacking := [str(name) for name in names if name not in found]:
            told.append(f"{kind} {', '.join(lacking)}")
    return "; ".join(told)


def of_toy(text: str) -> str:
    """The table for lines of `vdd distill --toy`, one method and seed each."""
    found = cells_of(text)
    heads = [
        "method",
        "seed",
        f"std of a mode (true: {found[0]['true_std']:g})",
        "modes",
        "KL [nats]",
    ]
    rows = [
        [
            one["method"],
            str(one["seed"]),
            f"{one['std']:.4f}",
            str(one["modes"]),
            f"{one['kl']:.4f}",
        ]
        for one in sorted(found, key=lambda one: (one["method"], one["seed"]))
    ]
    return to_markdown(Table(heads, rows)) + "\n"


def of_methods(text: str) -> str:
    """The section for the cells of a sweep over beds."""
    cells = cells_of(text)
    name = cells[0]["benchmark"]
    plan = BedsPlan.from_yaml(ROOT / "config" / "benchmarks" / f"{name}.yaml")
    there = {path.name for path in (PICTURES / name).glob("*.png")}
    return section_of_beds(plan, cells, f"pictures/{name}", there)


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


def of_bench_distill(text: str) -> str:
    """The sentence and the picture for a measurement of what distilling costs."""
    result = json.loads(text)
    whole, there = result["methods"]["vdd-paper"][-1], result["reached_at"]
    found = "never came as close"
    if there is not None:
        shares = [result["ratios"][name] for name in ("seconds", "teacher_calls")]
        found = (
            f"was as close after {there['seconds']:.0f} s and {there['teacher_calls']:,} calls of "
            f"the teacher, {shares[0]:.2f} and {shares[1]:.2f} times as much (goal: at most "
            f"{result['wanted']:g} each, {'reached' if result['goal_reached'] else 'missed'})"
        )
    return (
        f"`{result['command']}`, {result['hardware']}: `vdd-paper` came to an energy distance of "
        f"{result['energy_distance']:.4f} in {whole['seconds']:.0f} s and "
        f"{whole['teacher_calls']:,} calls; `vdd` {found}. "
        f"{result['cpu_share']:.0%} of the wall time was processor time.\n\n"
        f"![energy distance over wall seconds and over teacher calls]"
        f"(docs/pictures/bench_distill.png)\n"
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


def of_recorder_kill(text: str) -> str:
    """The table for kills of a recorder, one line a fault and contract."""
    heads = [
        "contract", "fault", "kills", "saved", "lost", "altered", "older than 1 s, recovered",
        "refused by the disk", "set aside", "killed while",
    ]  # fmt: skip
    found = cells_of(text)
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
    result = cells_of(text)[-1]
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


def of_bundle_damage(text: str) -> str:
    """The sentence and the table for damaged bundles."""
    result = json.loads(text)
    rows = [
        [row["family"], row["told"], row["refused_by"], bundle_reason(row["reason"])]
        for row in result["rows"]
    ]
    heads = ["where", "done to it", "refused by", "because"]
    told = (
        f"`{result['command']}`: {result['refused']} of {result['kinds']} kinds are refused by the "
        "check that has to, and nothing in them was executed."
    )
    return f"{told}\n\n{to_markdown(Table(heads, rows))}\n"


def bundle_reason(reason: str) -> str:
    """Without what to do about it, and no longer than a line of a table."""
    told = re.split(r": (?:copy|export|remove|sign|have|use|do not|correct|train|add)", reason)[0]
    return told if len(told) < 160 else f"{told[:157]}..."


def reason_of(row: dict) -> str:
    """A reason without what to do about it."""
    return re.split(r"; (?:restore|record)|: (?:restore it|give the)", row["reason"])[0]


def of_bench_control(text: str) -> str:
    """The table for how punctual commands are, one line a rate and sender."""
    heads = [
        "rate [Hz]", "sends after [ms]", "sender", "interval p99 / bare's",
        "lateness p50, p99, p99.9, max [ms]",
        "missed", "CPU", "tick to command p50, p99 [us]", "observation to command",
    ]  # fmt: skip
    found = cells_of(text)
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


def of_bench_loader(text: str) -> str:
    """The table for examples that are read from disk, one line a size of the file."""
    found = cells_of(text)
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


def of_bench_latency(text: str) -> str:
    """Goals, every way to a chunk, and the node's memory."""
    result = json.loads(text)
    parameters = result["parameters"]
    head = (
        f"`{result['command']}`, {result['hardware']}, one pinned core, "
        f"{result['cpu_share']:.0%} of the wall time was processor time. Student "
        f"{parameters['student']:,} parameters, teacher {parameters['teacher']:,} (ratio "
        f"{parameters['ratio']:.2f}); the student's call reads {result['floor']['weights']:,} of "
        "them, counted as they are folded."
    )
    goals = [
        [
            f"`{name}`",
            NOT_MEASURED if goal["value"] is None else f"{goal['value']:.2f}",
            next(f"{side} {goal[side]:g}" for side in ("at least", "at most") if side in goal),
            {True: "reached", False: "missed", None: NOT_MEASURED}[goal["reached"]],
        ]
        for name, goal in result["goals"].items()
    ]
    times = ("p50_us", "p99_us", "p999_us")
    ways = [
        [row["policy"], row["form"], *(f"{row[time]:.1f}" for time in times), str(row["calls"])]
        for row in result["rows"]
    ]
    memory = [
        [row["runtime"], *(f"{row[f'{name}_mb']:.0f}" for name in ("pss", "rss", "own"))]
        for row in result["memory"]
    ]
    parts = [
        head,
        to_markdown(Table(["figure", "measured", "goal", ""], goals)),
        to_markdown(Table(["policy", "form", "p50 [us]", "p99", "p99.9", "calls"], ways)),
        "Memory of the action node while it drives over ROS at 100 Hz [MB]:",
        to_markdown(Table(["runtime", "PSS", "resident", "its own"], memory)),
    ]
    return "\n\n".join(parts) + "\n"


def of_bench_calibration(text: str) -> str:
    """The sentence, the tables and the pictures for calibrations whose truth is known."""
    result = json.loads(text)
    rows = {row["row"]: row for row in result["rows"]}
    errors = [
        [row["row"], what, f"{error:.3g}", f"{row['bounds'][what]:.3g}",
         "yes" if error <= row["bounds"][what] else "**no**"]
        for row in result["rows"]
        for what, error in row["errors"].items()
    ]  # fmt: skip
    parts = [
        f"`{result['command']}`, {result['hardware']}:",
        to_markdown(Table(["row", "what", "error", "bound", "kept"], errors)),
    ]
    if "hand_eye" in rows:
        parts += _of_hand_eye(rows["hand_eye"])
    if "joint_offsets" in rows:
        told = "error of joint offsets over the noise of encoders"
        parts.append(f"![{told}](pictures/calibration_joint_offsets.png)")
    return "\n\n".join(parts) + "\n"


def _of_hand_eye(row: dict) -> list[str]:
    near, far = row["distance_m"]
    heads = ["corner noise [px]", "median, p95 [mm]", "OpenCV's best median, p95 [mm]",
             "median, p95 [deg]", "OpenCV's best median [deg]"]  # fmt: skip
    levels = [
        [
            f"{level['noise_px']:g}",
            f"{level['median_mm']:.3f}, {level['p95_mm']:.3f}",
            f"{level['opencv_best_mm']:.3f}, {level['opencv_best_p95_mm']:.3f}",
            f"{level['median_deg']:.4f}, {level['p95_deg']:.4f}",
            f"{level['opencv_best_deg']:.4f}",
        ]
        for level in row["levels"]
    ]
    width, height = row["picture_px"]
    return [
        f"Hand-eye: {row['setups']} setups, half of them with the camera on the arm, "
        f"{row['views']} views each of a board ({row['board']}) {near:g} to {far:g} m away, focal "
        f"length {row['focal_px']:g} px, {width}x{height} px, encoders with "
        f"{1e3 * row['joint_noise_rad']:g} mrad of noise; {row['statistic']}.",
        to_markdown(Table(heads, levels)),
        f"Where encoders are off by {1e3 * row['with_offsets']['offset_std_rad']:g} mrad (standard "
        f"deviation, {row['with_offsets']['joints']} joints), the camera's place is wrong by "
        f"{row['with_offsets']['median_mm_without']:.1f} mm in the median where nobody knows of it "
        f"({row['with_offsets']['refused_without']} setups are refused), and by "
        f"{row['with_offsets']['median_mm']:.2f} mm where offsets are estimated along with it.",
        _of_lens(row["with_lens"]),
        "![error of the camera's place and rotation over the noise of corners]"
        "(pictures/calibration_hand_eye.png)",
    ]


def _of_lens(found: dict) -> str:
    told = [
        f"by {one['median_mm']:.2f} mm in the median and {one['p95_mm']:.2f} mm at p95 with "
        f"intrinsics from {whose} ({one['setups']} setups; normalised error "
        f"{one['normalised_error']:.2f})"
        for whose, one in (
            ("the very views of the hand-eye", found["same views"]),
            ("as many other views", found["other views"]),
        )
    ]
    return (
        "All of this is with intrinsics that are known exactly. Where the lens is estimated along "
        f"with the place, at 0.3 px of noise, the camera is wrong {', and '.join(told)}. In the "
        "other setups the views say too little of a lens, which is refused."
    )


SECTIONS = {
    "demo.json": of_demo,
    "g1_bottle.jsonl": of_sweep,
    "nine_tasks.jsonl": of_tasks,
    "bench_sim.json": of_bench_sim,
    "bench_distill.json": of_bench_distill,
    "ring8.jsonl": of_toy,
}


# Results whose section is on a page of docs/, not in the README.
ELSEWHERE = {
    "bench_faults.json": ("faults.md", of_bench_faults),
    "bench_delays.json": ("safety.md", of_bench_delays),
    "bench_recorder_kill.jsonl": ("recording.md", of_recorder_kill),
    "bench_recorder.jsonl": ("recording.md", of_bench_recorder),
    "bench_recorder_prefixes.jsonl": ("recording.md", of_recorder_prefixes),
    "bench_damage.json": ("datasets.md", of_damage),
    "bench_bundle.json": ("deployment.md", of_bundle_damage),
    "bench_control.jsonl": ("architecture.md", of_bench_control),
    "bench_soak.json": ("architecture.md", of_bench_soak),
    "bench_loader.jsonl": ("data.md", of_bench_loader),
    "bench_latency.json": ("runtime.md", of_bench_latency),
    "bench_calibration.json": ("calibration.md", of_bench_calibration),
    "bench_calibration_timing.json": ("calibration_timing.md", of_bench_calibration),
    "methods.jsonl": ("methods.md", of_methods),
}


def filled(readme: str, results: dict[str, str]) -> str:
    """README with the sections of `results`, by file name, between their markers."""
    for name, text in results.items():
        readme = placed(readme, name, SECTIONS[name](text))
    return readme


def placed(text: str, name: str, section: str) -> str:
    """A page with another section between the markers of a result."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + section + end + after


def elsewhere() -> dict[Path, str]:
    """Pages of docs/ as they have to be for the results in this folder."""
    docs, found = Path(__file__).parents[1], {}
    for name, (file, section) in ELSEWHERE.items():
        result = Path(__file__).parent / name
        page = found.get(docs / file, (docs / file).read_text())
        filling = section(result.read_text()) if result.exists() else ""
        found[docs / file] = placed(page, name, filling)
    return found


def committed() -> dict[str, str]:
    """The results in this folder."""
    here = Path(__file__).parent
    return {name: (here / name).read_text() for name in SECTIONS if (here / name).exists()}


def pages(results: dict[str, str]) -> dict[str, str]:
    """Pages with all tables of sweeps over tasks, by file name."""
    cells = {name: cells_of(text) for name, text in results.items() if SECTIONS[name] is of_tasks}
    return {f"{Path(name).stem}.md": page(own, tables(own)) for name, own in cells.items()}


def cells_of(text: str) -> list[dict]:
    """One of each line."""
    return [json.loads(line) for line in text.splitlines()]


def take_over(path: Path) -> None:
    """Copy a report or cells here, and draw what there are plots of; where they lay is nobody
    else's business."""
    if path.suffix == ".jsonl":
        text = path.read_text()
        first = cells_of(text)[0]
        benchmark = first.get("benchmark", first.get("toy"))
        if "killed_while" in first:
            benchmark = "bench_recorder_kill"
        if "dropped" in first:
            benchmark = "bench_recorder"
            text = re.sub(r" --folder \S+", "", text)
        if "prefixes" in first:
            benchmark = "bench_recorder_prefixes"
        if "joint_rate_hz" in first:
            benchmark = "bench_control"
            text = re.sub(r"(--(?:student|teacher)) \S*/(\S+)", r"\1 \2", text)
        if "warm_over_memory" in first.get("ratios", {}):
            benchmark = "bench_loader"
            text = re.sub(r" --folder \S+", "", text)
        name = f"{benchmark}.jsonl"
        if "testbed" in first:
            (PICTURES / benchmark).mkdir(exist_ok=True)
            for plot in (path.parent / "plots").glob("*.png"):
                (PICTURES / benchmark / plot.name).write_bytes(plot.read_bytes())
        if SECTIONS.get(name) is of_tasks:
            for plot, image in plots(cells_of(text)).items():
                (PICTURES / f"{benchmark}_{plot}").write_bytes(image)
            if (path.parent / "avoid").is_dir():  # the rollouts lie beside the cells
                image = routes_picture(cells_of(text), path.parent)
                (PICTURES / "avoid_routes.png").write_bytes(image)
    else:
        report = json.loads(path.read_text())
        report["command"] = re.sub(r" --(out|plot) \S+", "", report["command"])
        report["command"] = re.sub(r" --logs \S+", "", report["command"])
        name = "bench_sim.json" if "replay" in report else "demo.json"
        if "families" in report:
            name = "bench_faults.json"
            for row in report["rows"]:
                row["reason"] = re.sub(r"/\S*/bundles/", "bundles/", row["reason"])
        if "kinds" in report:
            name = "bench_damage.json"
            for row in report["rows"]:
                row["reason"] = re.sub(r"/\S*/damaged/?", "", row["reason"])
        if "undamaged_passes" in report:
            name = "bench_bundle.json"
        if "delay_ms" in report.get("rows", [{}])[0]:
            name = "bench_delays.json"
            report["command"] = re.sub(r" \S*/(\S+)", r" \1", report["command"])
        if "student_over_floor_p50" in report.get("ratios", {}):
            name = "bench_latency.json"
            report["command"] = re.sub(r" (--\w+) \S*/(\S+)", r" \1 \2", report["command"])
        if "growth_mib" in report:
            name = "bench_soak.json"
            report["command"] = re.sub(r" \S*/(\S+)", r" \1", report["command"])
        if "setups" in report.get("rows", [{}])[0]:
            of_timing = report["rows"][0]["row"] == "latency"
            name = f"bench_calibration{'_timing' if of_timing else ''}.json"
            for picture, image in calibration_pictures(report["rows"]).items():
                (PICTURES / picture).write_bytes(image)
        if "methods" in report:
            name = "bench_distill.json"
            report["command"] = re.sub(r"--run \S+", "--run TEACHER", report["command"])
            (PICTURES / "bench_distill.png").write_bytes(cost_picture(report))
        indent = None if "memory_mib_at_s" in report else 1  # a series would fill pages
        text = json.dumps(report, indent=indent, allow_nan=False) + "\n"
    (Path(__file__).parent / name).write_text(text)


def routes_picture(cells: list[dict], out: Path) -> bytes:
    """Routes across `avoid` of a teacher, of what it was distilled into, and of the published
    objective, from the rollouts of a sweep."""
    shown = {}
    for name in ("teacher", "vdd", "vdd-paper"):
        of_it = [cell for cell in cells if (cell["task"], cell["method"]) == ("avoid", name)]
        cell = next(cell for cell in of_it if cell["teacher"] == "edm")
        calls = counted(cell["nfe"], "network call")
        title = f"{name}: {calls}, {cell['success']:.1%} across"
        folder = out / "avoid" / str(cell["seed"]) / "edm" / "rollouts"
        shown[title] = Rollouts.load(folder / f"{name}.npz")
    return routes_beside(shown)


def main() -> None:
    """Take over what is named, and fill the README and the pages of docs/."""
    for path in sys.argv[1:]:
        take_over(Path(path))
    README.write_text(filled(README.read_text(), committed()))
    for name, text in pages(committed()).items():
        (Path(__file__).parent / name).write_text(text)
    for path, text in elsewhere().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
