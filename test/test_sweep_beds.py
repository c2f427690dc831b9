"""A sweep over beds: plans and mistakes, a stop and what is done after it, bands, controls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from foreign_data import CONFIG

from docs.results.fill_readme import take_over
from docs.results.result import lines_of
from vdd_ros import cli
from vdd_ros.commands.sweep.beds.bands import Bands
from vdd_ros.commands.sweep.beds.cells import count_cells, finished_cells, known_cells
from vdd_ros.commands.sweep.beds.page import left_out, section
from vdd_ros.commands.sweep.beds.plan import BedsPlan
from vdd_ros.commands.sweep.beds.plots import COSTS, calls, cost
from vdd_ros.errors import UserError
from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.bed import JUDGED
from vdd_ros.policies.beds.controls import CdUnbounded, KdUnpaired, ProgressiveNotNested
from vdd_ros.policies.beds.distilled import NetConfig, pairs
from vdd_ros.policies.beds.exam import Exam, marks, of_means, of_sampler
from vdd_ros.policies.cost import CountedTeacher
from vdd_ros.policies.objectives import Paired
from vdd_ros.policies.objectives.consistency import Cd
from vdd_ros.policies.objectives.kd import Kd
from vdd_ros.policies.teacher import SamplerConfig

PLAN = CONFIG / "benchmarks" / "methods.yaml"
BANDS = Bands.from_yaml(CONFIG / "benchmarks" / "methods_bands.yaml")
RESULTS = CONFIG.parent / "docs" / "results" / "methods.jsonl"
G6 = BEDS["g6"]
SMALL = {
    "format_version": 1,
    "name": "small",
    "beds": {"g6": {"net": {"width": 8, "blocks": 1}, "student": {"n_experts": 2}}},
    "seeds": [1],
    "pairs": 256,
    "bands": "bands.yaml",
    "begin": {"steps": 2},
    "training": {"steps": 2},
    "student": {"width": 8, "blocks": 1, "octaves": 0, "bottleneck": 2},
    "student_training": {"steps": 2},
    "methods": {
        "kd": {},
        "cd": {},
        "nll": {"band": "mixture"},
        "posterior-mean": {"control": True, "band": "kd"},
    },
    "samplers": {"euler": {"steps": [1, 16]}, "net": {"name": "heun", "of": "net", "steps": [2]}},
}
ROW = {
    "testbed", "method", "seed", "nfe", "cov", "tv", "off", "stdr", "sw2", "ed", "prmse", "seconds",
    "teacher_calls", "accepted", "control", "parameters", "command", "hardware",
}  # fmt: skip


def written(folder: Path, **changes) -> Path:
    bands = (CONFIG / "benchmarks" / "methods_bands.yaml").read_text()
    (folder / "bands.yaml").write_text(bands)
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(SMALL | changes, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[list[str], Path, dict[Path, int]]:
    """Words of a sweep that was stopped and then finished, its folder, and when what was finished
    before the stop had been written."""
    folder = tmp_path_factory.mktemp("beds")
    out = folder / "out"
    words = ["sweep", str(written(folder)), "--out", str(out), "--json"]
    for part in ("begin", "samplers", "kd", "nll", "posterior-mean"):
        assert cli.main([*words, "--part", f"g6/1/{part}"]) == 0
    kept = [*out.rglob("cell.json"), *out.rglob("*.safetensors")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert cli.main(words) == 0
    return words, out, before


def cells_in(out: Path) -> dict[str, dict]:
    lines = (out / "cells.jsonl").read_text().splitlines()
    return {cell["method"]: cell for cell in map(json.loads, lines)}


def test_after_a_stop_only_what_is_left_is_done(done, capsys):
    words, out, before = done
    assert len(before) == 9 and (out / "g6/1/cd/cell.json") not in before
    assert {path: path.stat().st_mtime_ns for path in before} == before
    order = ["euler-1", "euler-16", "net-2", "kd", "cd", "nll", "posterior-mean"]
    assert list(cells_in(out)) == order
    assert [path.name for path in (out / "logs").iterdir()] == ["g6-1-cd.log"]
    capsys.readouterr()
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    assert "1 beds, 1 seeds: 4 cells of methods, 8 gradient steps, and 3 of samplers" in told
    assert "7 of 7 cells are finished" in told


def test_a_cell_has_every_figure_and_what_it_cost(done):
    cells = cells_in(done[1])
    for cell in cells.values():
        assert cell.keys() >= ROW and cell["testbed"] == "g6"
        assert cell["accepted"] == (not cell["missed"])
    assert [name for name, cell in cells.items() if cell["accepted"]] == ["euler-16"]
    assert [name for name, cell in cells.items() if cell["control"]] == ["posterior-mean"]
    assert (cells["euler-16"]["nfe"], cells["net-2"]["nfe"]) == (16, 3)
    assert cells["euler-16"]["prmse"] == pytest.approx(0.11, abs=0.02)
    assert cells["nll"]["prmse"] is None and cells["kd"]["prmse"] > 0.5
    of_pairs = 256 * 35  # Heun's of 18 steps
    assert cells["kd"]["teacher_calls"] == cells["nll"]["teacher_calls"] == of_pairs
    assert cells["cd"]["teacher_calls"] == 2 * 2 * 256  # two for each pair of levels
    assert cells["euler-16"]["teacher_calls"] == 0 < cells["kd"]["cpu_seconds"]


def test_plots_are_small_and_there_for_every_method(done):
    plots = done[1] / "plots"
    assert {path.stem for path in plots.iterdir()} == {
        *("g6-calls", "g6-cost"),
        *(f"g6_{name}" for name in ("kd", "cd", "nll", "posterior-mean")),
    }
    assert all(path.stat().st_size < 12_000 for path in plots.glob("g6_*.png"))


def test_lines_are_over_calls_and_students_beside_them(done):
    cells = cells_in(done[1])
    for axes in calls(list(cells.values())).axes:
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines) == ["euler", "students"]
        assert list(lines["euler"].get_xdata()) == [1, 16]
        assert list(lines["euler"].get_ydata()) == [
            cells[f"euler-{steps}"]["sw2"] for steps in (1, 16)
        ]
        assert list(lines["students"].get_ydata()) == [
            cells[name]["sw2"] for name in ("kd", "cd", "nll")
        ]
    for axes, key in zip(cost(list(cells.values())).axes, COSTS, strict=True):
        drawn = {text.get_text(): text.xy[0] for text in axes.texts}
        assert drawn == {name: max(cells[name][key], 1.0) for name in ("kd", "cd", "nll")}


def test_cells_are_taken_over_with_their_pictures(done, tmp_path):
    cells, plots = done[1] / "cells.jsonl", done[1] / "plots"
    assert take_over(cells, tmp_path, tmp_path).file == "methods.jsonl"
    taken = lines_of((tmp_path / "methods.jsonl").read_text())
    assert {line["command"] for line in taken} == {"vdd sweep plan.yaml --out OUT"}
    assert [line | {"command": ""} for line in taken] == [
        line | {"command": ""} for line in lines_of(cells.read_text())
    ]
    copied = {path.name for path in (tmp_path / "methods").iterdir()}
    assert copied == {path.name for path in plots.iterdir()}
    plan = BedsPlan.from_yaml(Path(done[0][1]))
    page = section(plan, list(cells_in(done[1]).values()), "pictures/small", copied)
    assert "7 cells of 7, up to 1 seed of a method" in page and "Not measured" not in page
    assert "| kd | 1 | " in page and "| posterior-mean | 0.0 | " in page
    assert all(f"(pictures/small/{name})" in page for name in copied)


def test_what_another_plan_led_to_is_not_mixed_in(done, tmp_path, capsys):
    _, out, _ = done
    methods = SMALL["methods"] | {"kd": {"training": {"steps": 3}}}
    words = ["sweep", str(written(tmp_path, methods=methods)), "--out", str(out)]
    assert cli.main(words) == 2
    assert "kd.training.steps was 2 and is 3 now" in capsys.readouterr().err


def test_cells_that_are_known_are_left_to_who_has_them(done, tmp_path):
    _, out, _ = done
    methods = SMALL["methods"] | {"kd": {"training": {"steps": 3}}}
    plan = BedsPlan.from_yaml(written(tmp_path, methods=methods))
    known = known_cells(plan, out / "cells.jsonl")
    assert {name for _, name in known} == set(cells_in(out)) - {"kd"}
    found = finished_cells(plan, tmp_path / "none", "", known)
    assert [cell["method"] for cell in found] == [
        *list(cells_in(out))[:3],
        "cd",
        "nll",
        "posterior-mean",
    ]
    assert left_out(plan, found) == "g6 with seed 1: kd" and count_cells(plan) == 7
    assert left_out(plan, found[3:]) == "g6 with seed 1: all samplers, kd"
    assert left_out(plan, []) == "g6 with seed 1: everything"
    words = ["sweep", str(written(tmp_path)), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--known", str(out / "cells.jsonl")]) == 0
    assert cells_in(tmp_path / "out") == cells_in(out)
    assert not (tmp_path / "out" / "g6" / "1" / "begin").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [1, 1]}, "seeds repeat"),
        ({"beds": {"g7": {}}}, "bed 'g7' is none of g6, t2"),
        ({"methods": {"kd": {"objective": {"sgma": 1}}}}, "kd has no setting 'sgma'"),
        ({"methods": {"cd": {"objective": {"levels": "x"}}}}, "levels is 'x'; write a whole"),
        ({"methods": {"kd": {"objective": {"space": "tool"}}}}, "kd: beds have no robot"),
        ({"methods": {"kdd": {}}}, "kdd: method 'kdd' is none of vdd, "),
        ({"methods": {"kd": {"training": {"step": 1}}}}, "TrainingConfig has no 'step'"),
        ({"methods": {"kd": {"student": {"width": 1}}}}, "kd: only mixtures have a student"),
        ({"methods": {"kd": {"beds": ["t2"]}}}, "kd: bed 't2' is none of g6"),
        ({"methods": {"kd-unpaired": {"band": "kd"}}}, "known to fail, write control: true"),
        ({"methods": {"nll": {}}}, "nll: bands.yaml has no band 'nll', only kd"),
        ({"methods": {"begin": {"method": "kd"}}}, "begin is something else's name"),
        ({"samplers": {"eulr": {"steps": [1]}}}, "eulr: sampler 'eulr' is none of euler"),
        ({"samplers": {"euler": {"steps": [2, 2]}}}, "steps repeat"),
        ({"samplers": {"euler": {"steps": [1], "spacing": "even"}}}, "spacing is one of rho"),
        ({"bands": "none.yaml"}, "no file of bands at"),
        ({"method": {}}, "unknown key 'method'"),
    ],
)
def test_a_plan_with_a_mistake_is_refused_in_a_sentence(tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        BedsPlan.from_yaml(written(tmp_path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("beds", "message"),
    [
        ({"g6": {}}, "a band without a figure accepts everything"),
        ({"g6": {"of": [0, 1]}}, "figure 'of' is none of cov"),
        ({"g6": {"tv": [1, 0]}}, "g6.tv: 1 is above 0"),
        ({"g7": {"tv": [0, 1]}}, "bed 'g7' is none of"),
    ],
)
def test_a_band_with_a_mistake_is_refused(tmp_path, beds, message):
    path = tmp_path / "bands.yaml"
    bands = {"kd": {"source": "measured", "beds": beds}}
    path.write_text(yaml.safe_dump({"format_version": 1, "bands": bands}))
    with pytest.raises(UserError, match=message):
        Bands.from_yaml(path)


def test_episodes_and_unknown_parts_are_refused_before_anything_is_written(tmp_path, capsys):
    words = ["sweep", str(written(tmp_path)), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--part", "g6/2/kd"]) == 2
    assert (
        "no part 'g6/2/kd': name one of g6/1/begin, g6/1/samplers, g6/1/kd"
        in capsys.readouterr().err
    )
    assert cli.main([*words, "--episodes", str(tmp_path)]) == 2
    assert "drop --episodes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def drawn() -> dict[str, Paired]:
    """On each bed observations with a true chunk, noise, and where the exact ODE leads from it."""
    return {name: pairs(bed, JUDGED, seed=3) for name, bed in BEDS.items()}


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_bands_accept_the_truth_and_those_of_maps_the_exact_flow(bed, drawn):
    """But for guidance, which is to be narrower than the truth."""
    cond, ends, demos, _ = drawn[bed.name]
    flow, truth = bed.figures(ends, cond, ends), bed.figures(demos, cond)
    for name, band in BANDS.bands.items():
        if bed.name in band.beds and name != "guidance":
            is_map = "prmse" in band.beds[bed.name] or name == "sampler"
            assert BANDS.missed(name, bed.name, flow if is_map else truth) == [], name


def spoilt(bed, exam: Exam) -> dict[str, dict]:
    """Figures of what controls lead to: the mean of all chunks, which is the best answer to noise
    that is not the pair's; a constant, with no boundary; one mode and nothing of its width, where
    nothing keeps samples apart; and two steps with a node where nobody learned anything."""
    mixture = bed.mixture(exam.cond)
    two = of_sampler(SamplerConfig("euler", 2, 0.01), bed, bed.teacher, exam, 0)
    return {
        "mean": marks(bed, exam, of_means(bed, exam)),
        "constant": bed.figures(torch.full_like(exam.ends, 0.3), exam.cond, exam.ends),
        "one mode": bed.figures(mixture.means[:, 0], exam.cond, exam.ends),
        "a node too low": marks(bed, exam, two),
    }


@pytest.mark.parametrize("bed", BEDS.values(), ids=BEDS.keys())
def test_no_band_accepts_what_controls_lead_to(bed, drawn):
    exam = Exam(drawn[bed.name].cond, drawn[bed.name].starts, drawn[bed.name].samples)
    for told, figures in spoilt(bed, exam).items():
        for name, band in BANDS.bands.items():
            if bed.name in band.beds:
                assert BANDS.missed(name, bed.name, figures), (told, name)


def test_a_figure_that_is_missing_is_beside_its_band():
    truth = {"cov": 6, "tv": 0.0, "off": 0.0, "stdr": 1.0, "sw2": 0.0, "prmse": None}
    assert BANDS.missed("kd", "g6", truth) == ["prmse"]
    assert BANDS.missed("guidance", "t2", truth) is None


def test_controls_spoil_what_they_say_and_nothing_else():
    data, generator = pairs(G6, 64, 0), torch.Generator()
    net = NetConfig(width=8, blocks=1).make(G6)
    torch.nn.init.normal_(net.net.leave.weight)
    mixed = data._replace(starts=data.starts.roll(1, 0))
    same = Kd().loss(net, G6.teacher, mixed, 0.0, generator)
    torch.testing.assert_close(KdUnpaired().loss(net, G6.teacher, data, 0.0, generator), same)
    grids = [ProgressiveNotNested(steps=8).grid(phase) for phase in range(4)]
    assert [len(grid) - 1 for grid in grids] == [8, 4, 2, 1]
    assert not torch.isin(grids[1][1:-2], grids[0]).any()
    free, tied = CdUnbounded().student(net), Cd().student(net)
    at = torch.full((64,), 0.01)
    torch.testing.assert_close(tied(data.samples, at, data.cond), data.samples)
    torch.nn.init.zeros_(free.net.leave.weight)
    loss = CdUnbounded().pair_loss(free, free, G6.teacher, data, generator)
    assert loss == 0.0  # a constant is perfect


def test_a_teacher_that_counts_counts_chunks():
    counted = CountedTeacher(G6.teacher)
    assert torch.equal(pairs(G6, 8, 0, counted).samples, pairs(G6, 8, 0).samples)
    assert counted.calls == 8 * 35


def test_the_plan_can_be_read_and_has_controls_for_what_it_accepts():
    plan = BedsPlan.from_yaml(PLAN)
    controls = {name: own for name, own in plan.every_method.items() if own.control}
    assert len(controls) >= 4
    methods = {own.band for name, own in plan.every_method.items() if name not in controls}
    assert {own.band for own in controls.values()} <= methods


def test_committed_cells_are_of_the_plan_and_no_control_is_accepted():
    plan = BedsPlan.from_yaml(PLAN)
    cells = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    assert finished_cells(plan, Path("nowhere"), "", known_cells(plan, RESULTS)) == cells
    controls = [cell for cell in cells if cell["control"]]
    assert controls and not any(cell["accepted"] for cell in controls)
    for cell in cells:
        assert cell.keys() >= ROW and "/" not in cell["command"].partition("config/")[0]
