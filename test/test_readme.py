"""The figures in the README are those of the committed result."""

import importlib.util
import json
import re
from pathlib import Path

from made_cells import CORE, cell

ROOT = Path(__file__).resolve().parents[1]


def fill_readme():
    path = ROOT / "docs" / "results" / "fill_readme.py"
    spec = importlib.util.spec_from_file_location("fill_readme", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_says_what_the_results_say():
    module, readme = fill_readme(), (ROOT / "README.md").read_text()
    results = module.committed()
    assert module.filled(readme, results) == readme
    report = json.loads(results["demo.json"])
    report["policies"]["vdd"]["success"] += 0.1
    assert module.filled(readme, {"demo.json": json.dumps(report)}) != readme
    other = results["g1_bottle.jsonl"].replace('"nll": -3', '"nll": -4')
    assert module.filled(readme, {"g1_bottle.jsonl": other}) != readme


def tasks_cells() -> str:
    made = [
        cell(task, seed, method, benchmark="nine_tasks", success=0.9 if method == "vdd" else 0.6)
        for task in ("one", "two")
        for seed in (1, 2)
        for method in CORE
    ]
    return "".join(json.dumps(one) + "\n" for one in made)


def test_a_sweep_over_tasks_fills_a_section_and_a_page():
    module, readme = fill_readme(), (ROOT / "README.md").read_text()
    text = module.filled(readme, {"nine_tasks.jsonl": tasks_cells()})
    assert text.count("## Nine tasks") == 1
    assert "2 seeds, 20 rollouts of each policy" in text
    assert "**Not measured yet, and in no figure: tasks avoid, align, push" in text
    assert "; seeds 3; teachers ddpm, transformer; ablations vdd-2" in text
    assert "| vdd | 1.500 | 1.000 | 0.0100 | 0.0200 | 1 | 20 |" in text
    assert "(docs/pictures/nine_tasks_edm_behaviour.png)" in text
    assert module.filled(text, {"nine_tasks.jsonl": tasks_cells()}) == text
    page = module.pages({"nine_tasks.jsonl": tasks_cells()})["nine_tasks.md"]
    assert "| two, teacher edm | success |" in page and "| goal | found |" in page


def test_cells_are_taken_over_with_their_plots(tmp_path, monkeypatch):
    module = fill_readme()
    monkeypatch.setattr(module, "PICTURES", tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "fill_readme.py"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cells.jsonl").write_text(tasks_cells())
    module.take_over(tmp_path / "out" / "cells.jsonl")
    assert (tmp_path / "nine_tasks.jsonl").read_text() == tasks_cells()
    pictures = ["nine_tasks_edm_behaviour.png", "nine_tasks_edm_fidelity.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == pictures


def test_what_distilling_costs_is_taken_over_with_its_picture(tmp_path, monkeypatch):
    module, readme = fill_readme(), (ROOT / "README.md").read_text()
    monkeypatch.setattr(module, "PICTURES", tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "fill_readme.py"))
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
    module.take_over(tmp_path / "line.json")
    text = module.filled(readme, module.committed())
    assert (
        "`vdd bench distill --run TEACHER --threads 1 --json`, a processor: `vdd-paper` came"
        in text
    )
    assert "after 20 s and 200 calls of the teacher, 0.40 and 0.60 times" in text
    assert "0.5 each, missed)" in text and (tmp_path / "bench_distill.png").exists()


def test_pages_and_pictures_are_those_of_the_results():
    module, readme = fill_readme(), (ROOT / "README.md").read_text()
    for name, text in module.pages(module.committed()).items():
        assert (ROOT / "docs" / "results" / name).read_text() == text
    for picture in re.findall(r"!\[[^]]*\]\(([^)]*)\)", readme):
        assert (ROOT / picture).exists()


def test_the_page_of_faults_says_what_the_result_says():
    module = fill_readme()
    for path, text in module.elsewhere().items():
        assert path.read_text() == text
    result = json.loads((ROOT / "docs" / "results" / "bench_faults.json").read_text())
    page = (ROOT / "docs" / "faults.md").read_text()
    assert f"{result['passed']} of {result['scenarios']} scenarios" in page
    assert all(f"| {row['injected']} |" in page for row in result["rows"])


def test_every_test_that_the_safety_page_names_exists():
    page = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:\w+\.py::)?(test_\w+)`", page))
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "test").rglob("*.py")]
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(files), re.MULTILINE))
    assert len(named) > 30 and named <= defined, sorted(named - defined)
