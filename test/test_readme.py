"""The figures in the README and the pages are those of the committed results."""

import json
import re

import pytest
from made_cells import CORE, cell

from docs.results.fill_readme import RESULTS, all_tables, filled, pages, take_over
from docs.results.result import HERE, ROOT, read


def page_of(name: str, text: str) -> str:
    """The page of a result, with the section of another text."""
    (result,) = (one for one in RESULTS if one.file == name)
    return filled((ROOT / result.page).read_text(), result, text)


def test_every_page_says_what_the_results_say():
    found = pages()
    assert {"README.md", "faults.md", "nine_tasks.md"} <= {path.name for path in found}
    for path, text in found.items():
        assert path.read_text() == text
        assert all(f"<!-- {one.file}:end -->" in text for one in RESULTS if ROOT / one.page == path)
    report = json.loads((HERE / "demo.json").read_text())
    as_it_is = page_of("demo.json", json.dumps(report))
    report["policies"]["vdd"]["success"] += 0.1
    assert page_of("demo.json", json.dumps(report)) != as_it_is == found[ROOT / "README.md"]


def tasks_cells() -> str:
    made = [
        cell(task, seed, method, benchmark="nine_tasks", success=0.9 if method == "vdd" else 0.6)
        for task in ("one", "two")
        for seed in (1, 2)
        for method in CORE
    ]
    return "".join(json.dumps(one) + "\n" for one in made)


def test_a_sweep_over_tasks_fills_a_section_and_a_page():
    text = page_of("nine_tasks.jsonl", tasks_cells())
    assert text.count("## Nine tasks") == 1
    assert "2 seeds, 20 rollouts of each policy" in text
    assert "**Not measured yet, and in no figure: tasks avoid, align, push" in text
    assert "; seeds 3; teachers ddpm, transformer; ablations vdd-2" in text
    assert "| vdd | 1.500 | 1.000 | 0.0100 | 0.0200 | 1 | 20 |" in text
    assert "(../pictures/nine_tasks_edm_behaviour.png)" in text
    page = all_tables(tasks_cells())
    assert "| two, teacher edm | success |" in page and "| goal | found |" in page


def test_cells_are_taken_over_with_their_plots(tmp_path):
    cells = tmp_path / "out" / "cells.jsonl"
    cells.parent.mkdir()
    cells.write_text(tasks_cells())
    assert take_over(cells, tmp_path, tmp_path).file == "nine_tasks.jsonl"
    assert (tmp_path / "nine_tasks.jsonl").read_text() == tasks_cells()
    pictures = ["nine_tasks_edm_behaviour.png", "nine_tasks_edm_fidelity.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == pictures


def test_committed_results_are_each_known_for_what_they_are(tmp_path):
    for result in RESULTS:
        (taken,) = (one for one in RESULTS if one.is_it(read(HERE / result.file)[0]))
        assert taken is result
    (tmp_path / "cells.jsonl").write_text('{"benchmark": "unheard_of"}\n')
    with pytest.raises(SystemExit, match="cells.jsonl is none of demo.json, "):
        take_over(tmp_path / "cells.jsonl", tmp_path, tmp_path)


def test_what_distilling_costs_is_taken_over_with_its_picture(tmp_path):
    curve = [
        {"step": step, "seconds": 10.0 * step, "teacher_calls": 100 * step, "energy_distance": one}
        for step, one in ((1, 0.2), (2, 0.1))
    ]
    result = {
        "methods": {"vdd": curve, "vdd-paper": curve},
        "energy_distance": 0.1,
        "reached_at": curve[1],
        "ratios": {"seconds": 0.4, "teacher_calls": 0.6},
        "wanted": 0.5,
        "goal_reached": False,
        "cpu_share": 0.98,
        "hardware": "a processor",
        "command": "vdd bench distill --run /some/where --plot a.png --threads 1 --json",
    }
    (tmp_path / "line.json").write_text(json.dumps(result))
    assert take_over(tmp_path / "line.json", tmp_path, tmp_path).file == "bench_distill.json"
    text = page_of("bench_distill.json", (tmp_path / "bench_distill.json").read_text())
    assert "`vdd bench distill --run where --threads 1 --json`, a processor: `vdd-paper`" in text
    assert "after 20 s and 200 calls of the teacher, 0.40 and 0.60 times" in text
    assert "0.5 each, missed)" in text and (tmp_path / "bench_distill.png").exists()


def test_every_picture_of_the_readme_is_there():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]*)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / picture).exists()


def test_the_page_of_faults_says_what_the_result_says():
    result = json.loads((HERE / "bench_faults.json").read_text())
    page = (ROOT / "docs" / "faults.md").read_text()
    assert f"{result['passed']} of {result['scenarios']} scenarios" in page
    assert all(f"| {row['injected']} |" in page for row in result["rows"])


def test_every_test_that_the_safety_page_names_exists():
    page = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:\w+\.py::)?(test_\w+)`", page))
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "test").rglob("*.py")]
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(files), re.MULTILINE))
    assert len(named) > 30 and named <= defined, sorted(named - defined)
