"""The parts of the report page: a heading, a few words on what one sees, and the thing itself."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from vdd_ros.commands.demo import pictures, tables
from vdd_ros.commands.demo.pictures import Rollouts
from vdd_ros.commands.demo.summary import certificate_told
from vdd_ros.commands.demo.tables import percent, plain
from vdd_ros.commands.page.html import definitions, figure
from vdd_ros.commands.page.table import NONE, number, to_markdown
from vdd_ros.sim.avoid_field import N_WAYS

STUDENTS = ("vdd", "vdd-paper", "nll")
PERIOD_MS = 10.0  # of the commands over ROS: the demo's contract has control_hz 100


def opening(report: dict) -> str:
    """What was done, in a few sentences, and the figures that matter most."""
    teacher, student, ros = report["policies"]["teacher"], report["policies"]["vdd"], report["ros"]
    ratio = report["ratios"]["teacher10_over_student_p50"]
    reached = sum(goal["reached"] is True for goal in report["goals"])
    cards = [
        (
            percent(student["success"]),
            f"success (teacher {percent(teacher['success'])})",
        ),
        (
            f"{plain(student['modes'])} of {N_WAYS}",
            f"ways taken (teacher {plain(teacher['modes'])})",
        ),
        (NONE if ratio is None else f"{ratio:.1f}×", "faster than its teacher's ten steps"),
        (percent(ros["success"]), f"success over ROS, {ros['episodes']} episodes"),
        (f"{reached} of {len(report['goals'])}", "goals reached, see below"),
    ]
    figures = "".join(
        f"<div><b>{escape(figure)}</b><span>{escape(what)}</span></div>" for figure, what in cards
    )
    return f"""<h1>From demonstrations to a real-time policy</h1>
<p>A simulated Panda arm moves a rod through a field of six cylinders to a finish line, and may
touch none. There are {N_WAYS} ways through. A scripted operator demonstrated them over ROS topics;
a diffusion policy (the <b>teacher</b>) was trained on the recordings; and a mixture of Gaussian
experts (<b>vdd</b>) was distilled from it, which needs one network evaluation where the teacher
needs many.</p>
<div class=figures>{figures}</div>"""


def goals(entries: list[dict]) -> str:
    """The goals, each with its figure; a miss is said as a miss."""
    named = {
        kind: [goal["goal"] for goal in entries if goal["reached"] is kind]
        for kind in (True, False, None)
    }
    verdict = f"{len(named[True])} of {len(entries)} reached. "
    verdict += f"Missed: {'; '.join(named[False]) or 'none'}. "
    if named[None]:
        verdict += f"Not measured: {'; '.join(named[None])}."
    return f"""<h2>Goals</h2>
<p>{escape(verdict)}</p>
<div class=scroll tabindex=0>{tables.to_html(tables.goal_table(entries))}</div>"""


def policies(entries: dict) -> str:
    """The main table, what its columns mean, how each acts, and why a figure is missing."""
    table = tables.policy_table(entries)
    meanings = definitions(tables.COLUMNS[1:], "meanings")
    told = [*tables.acting_rules(entries), *tables.missing_figures(entries)]
    notes = "".join(f"<li>{escape(one)}</li>" for one in told)
    return f"""<h2>Policies</h2>
<p>All were trained on the same recordings and rolled out from the same starts. <b>teacher-1</b> is
the teacher cut down to one step; <b>vdd-paper</b> and <b>nll</b> are the published objective and
maximum likelihood, on the same network as <b>vdd</b>.</p>
<div class='scroll wide' tabindex=0>{tables.to_html(table)}</div>
<ul class=soft>{notes}</ul>
<details><summary>What the columns mean</summary>{meanings}</details>
<details><summary>The table as Markdown</summary><pre>{escape(to_markdown(table))}</pre>
</details>"""


def routes(rollouts: Mapping[str, Rollouts]) -> str:
    """A picture per policy."""
    panels = ""
    for name, rollout in rollouts.items():
        failed = int((~rollout.success.astype(bool)).sum())
        ways_taken = int((rollout.way_counts() >= 2).sum())
        text = f"{ways_taken} ways, {failed} of {len(rollout.success)} failed"
        panels += figure(pictures.routes(rollout), name, text)
    return f"""<h2>Routes</h2>
<p>The field from above; the rod starts at the bottom. One colour per way; a failed route is grey
and ends in a red cross. Dark discs are the cylinders, the pale rims around them the rod's own
radius. A policy that averages between ways shows itself as routes that run into a cylinder.</p>
<div class=grid>{panels}</div>"""


def ways(teacher: Rollouts, student: Rollouts) -> str:
    """How often each way was taken."""
    picture = pictures.way_histogram(teacher, student)
    text = "A student that keeps only some of its teacher's ways has gaps here."
    return f"""<h2>Ways taken</h2>
<p>Which of the {N_WAYS} ways the successful rollouts took, for the teacher and for vdd.</p>
{figure(picture, "teacher and vdd", text)}"""


def experts(rollouts: Mapping[str, Rollouts]) -> str:
    """Who was followed how often, and where."""
    students = {name: rollouts[name] for name in STUDENTS if name in rollouts}
    n_experts = 1 + max(int(r.experts.max()) for r in students.values())
    share = figure(
        pictures.expert_histogram(students, n_experts),
        "Share of ticks",
        "An expert without a bar is never followed.",
    )
    where = figure(
        pictures.expert_routes(students["vdd"]),
        "Who is followed where",
        "by vdd, in the colours of the bars.",
    )
    return f"""<h2>Experts</h2>
<p>A student is a mixture: one of its experts is chosen and followed for a while, at each evaluation
anew from where the arm is. The bars say how often each was; the field shows where, for vdd.</p>
<div class=charts>{share}{where}</div>"""


def certificate(found: dict) -> str:
    """What the bundle that was driven says of itself."""
    return f"""<h2>Certificate</h2>
<p>{escape(certificate_told(found))} Everything that was measured of vdd here is in
<code>bundles/vdd-certified/certificate.md</code>, in the bundle that was driven; simulated
episodes have no calibration file, so that a simulated arm gets no better grade than B.</p>"""


def over_ros(ros: dict, interval_ms: np.ndarray) -> str:
    """The run over topics, as an independent subscriber saw it."""
    interval = ros["interval_ms"]
    missed = int((interval_ms > 1.5 * PERIOD_MS).sum())
    facts = definitions(
        [
            ("episodes", f"{ros['episodes']}, {percent(ros['success'])} successful"),
            ("commands", f"{number(ros['command_rate_hz'], 2)} Hz"),
            ("evaluations", f"{number(ros['policy_rate_hz'], 2)} Hz"),
            ("stale repeats", percent(ros["stale_share"])),
            (
                "interval",
                f"p50 {number(interval['p50'], 2)} ms, p99 {number(interval['p99'], 2)} ms, "
                f"longest {number(interval['max'], 2)} ms",
            ),
            ("missed ticks", f"{missed} of {len(interval_ms)} (late by more than half a period)"),
        ]
    )
    picture = pictures.interval_histogram(interval_ms, PERIOD_MS)
    return f"""<h2>Over ROS, in real time</h2>
<p>Simulator, policy and an independent subscriber ran as separate processes; the policy was
evaluated afresh at every tick. The picture shows the time between two commands as the subscriber
received them; its counts are logarithmic, so that a single late command can be seen.</p>
<div class=charts>{figure(picture, "Commands", "The nearer to the dotted line, the better.")}
<div>{facts}</div></div>"""


def again(report: dict) -> str:
    """How long each stage took, on what, and how to repeat it."""
    seconds = max(report["stages"].values(), default=1.0)
    bars = "".join(
        f"<div class=bar><span>{escape(name.replace('_', ' '))}</span>"
        f"<i style='width:{100 * took / seconds:.1f}%'></i><span>{took:.0f} s</span></div>"
        for name, took in report["stages"].items()
    )
    minutes = report["seconds"] / 60
    calls = "in one run of" if not report["resumed"] else "in several calls, whose stages took"
    facts = definitions(
        [(name, str(report[name])) for name in ("hardware", "seed", "commit") if name in report]
    )
    return f"""<h2>Run it again</h2>
<p>Everything on this page was measured {calls} {minutes:.1f} minutes. The same figures
with all their digits are in <code>report.json</code> beside this page.</p>
<pre>{escape(report["command"])}</pre>
{facts}
<h2>Where the time went</h2>
{bars}"""
