"""The figures in the README are those of the committed result."""

import importlib.util
import json
import re
from pathlib import Path

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


def test_every_test_that_the_safety_page_names_exists():
    page = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:test_\w+\.py::)?(test_\w+)`", page))
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "test").rglob("test_*.py")]
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(files), re.MULTILINE))
    assert len(named) > 30 and named <= defined, sorted(named - defined)
