"""A sweep: splits that share no episode, cells that are finished once, a plan without typos."""

import json

import numpy as np
import pytest
import yaml
from foreign_data import CONFIG, DATA, g1

from vdd_ros import cli
from vdd_ros.commands.sweep.episodes.plan import Plan
from vdd_ros.commands.sweep.episodes.table import folds_table, held_out_table
from vdd_ros.datasets.importing import check, read, write
from vdd_ros.errors import UserError

PLAN = CONFIG / "benchmarks" / "g1_bottle.yaml"


def test_splits_share_no_episode_and_the_held_out_ones_are_in_no_fold():
    plan = Plan.from_yaml(PLAN)
    names = tuple(f"episode_{i:04d}" for i in range(1, 81))
    splits = plan.splits(names)
    assert list(splits) == ["held-out", *(f"fold-{i}" for i in range(1, 6))]
    last = set(names[-10:])
    assert set(splits["held-out"].judge) == last
    for name, split in splits.items():
        assert not set(split.train) & set(split.judge)
        assert not last & set(split.train)
        assert len(split.train) + len(split.judge) == (80 if name == "held-out" else 70)
    folds = [split.judge for name, split in splits.items() if name != "held-out"]
    assert sorted(sum(folds, ())) == sorted(names[:-10])
    with pytest.raises(UserError, match="12 episodes are too few"):
        plan.splits(names[:12])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": {"horizn": 8}}, "TeacherConfig has no 'horizn'"),
        ({"students": {"vdd": {"method": "vd"}}}, "method is one of vdd"),
        ({"baselines": ["oracle"]}, "baseline 'oracle' is none of"),
        ({"fold": 5}, "unknown key 'fold'"),
        ({"folds": 1}, "one fold leaves nothing to train on"),
        ({"students": {}}, "students: "),
        ({"teacher": {"reference_degree": 3}}, "reference_degree is 0, 1 or 2"),
    ],
)
def test_a_plan_with_a_typo_is_refused(tmp_path, change, message):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(PLAN.read_text()) | change))
    with pytest.raises(UserError, match=message):
        Plan.from_yaml(path)


@pytest.fixture
def sweep_words(tmp_path):
    """The command line of a small sweep, and its plan."""
    source, contract = g1()
    episodes = tmp_path / "episodes"
    write(check(read(DATA / "g1_bottle", source), source, contract), source, contract, episodes)
    raw = yaml.safe_load(PLAN.read_text()) | {
        "contract": str(CONFIG / "g1_bottle.yaml"),
        "held_out": 1,
        "folds": 0,
        "teacher": {"horizon": 4, "rank": 6, "width": 16, "blocks": 1},
        "teacher_training": {"steps": 3},
        "student": {"width": 16, "blocks": 1, "bottleneck": 4, "n_experts": 2},
        "student_training": {"steps": 3},
        "students": {"vdd": {"method": "vdd"}, "em": {"method": "em"}},
    }
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(raw))
    out = tmp_path / "out"
    return ["sweep", str(plan), "--episodes", str(episodes), "--out", str(out), "--json"], plan


def test_a_sweep_ends_with_a_line_per_cell_and_keeps_what_is_finished(
    tmp_path, capsys, sweep_words
):
    (words, plan), out = sweep_words, tmp_path / "out"
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "1 splits, 8 cells" in printed and "9 in all" in printed
    lines = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    assert [line["policy"] for line in lines] == Plan.from_yaml(plan).judged
    assert json.loads(printed.splitlines()[-1])["cells"] == lines
    by_name = {line["policy"]: line for line in lines}
    for name in ("vdd", "em", "linear-gaussian", "nearest-neighbour", "hold-last"):
        assert np.isfinite(by_name[name]["nll"]) and 0.0 <= by_name[name]["off_support"] <= 1.0
        assert 0.0 < by_name[name]["p50_us"] <= by_name[name]["p99_us"]
    assert "p50_us" not in by_name["teacher"]
    assert by_name["hold-last"]["form"] == "numpy" and by_name["vdd"]["form"] == "onnxruntime"
    stamp = (out / "held-out" / "vdd" / "run.json").stat().st_mtime_ns
    assert cli.main(words) == 0
    assert (out / "held-out" / "vdd" / "run.json").stat().st_mtime_ns == stamp


def test_the_tables_say_what_a_policy_adds_to_staying():
    """Folds are compared within a fold, episodes within an episode: what makes one easy cancels."""
    cells = [
        {"policy": "vdd", "split": "held-out", "nll": -3.0, "nll_interval": [-3.1, -2.9]},
        {"policy": "hold-last", "split": "held-out", "nll": -2.5},
    ]
    cells[0]["nll_by_episode"], cells[1]["nll_by_episode"] = [-9.2, 3.2], [-9.0, 4.0]
    for fold, (ease, gain) in enumerate([(0.0, -0.2), (-1.0, -0.3), (1.0, 0.2)]):
        for name, nll in (("vdd", ease + gain), ("hold-last", ease)):
            cells.append({"policy": name, "split": f"fold-{fold}", "nll": nll, "off_support": 0.5})
            cells[-1]["nll_by_episode"] = [nll, nll]
    first, second = held_out_table(cells), folds_table(cells)
    half = 12.7062 * np.std([-0.2, -0.8], ddof=1) / 2**0.5  # Student's t of one degree of freedom
    assert [row[:3] for row in first.rows] == [
        ["vdd", "-3.000 [-3.100, -2.900]", f"-0.500 [{-0.5 - half:.3f}, {-0.5 + half:.3f}]"],
        ["hold-last", "-2.500", "–"],
    ]
    half = 4.302653 * np.std([-0.2, -0.3, 0.2], ddof=1) / 3**0.5  # of two
    less = f"-0.100 [{-0.1 - half:.3f}, {-0.1 + half:.3f}]"
    assert [row[0] for row in second.rows] == ["vdd", "hold-last"]
    assert [row[2:4] for row in second.rows] == [[less, "4 of 6"], ["–", "–"]]
    assert [row[4] for row in second.rows] == ["0.500 [0.500, 0.500]"] * 2
    assert second.rows[0][5] == "0.500 0.500 0.500"
    assert folds_table(cells[:2]) is None


def test_a_split_that_is_none_leaves_nothing_behind(tmp_path, capsys, sweep_words):
    words, _ = sweep_words
    assert cli.main([*words, "--part", "fold-9"]) == 2
    assert "no part 'fold-9': name one of held-out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_plan_is_refused(tmp_path, sweep_words):
    words, plan = sweep_words
    assert cli.main(words) == 0
    before = sorted(tmp_path.rglob("*.json"))
    plan.write_text(plan.read_text().replace("seed: 0", "seed: 1"))
    assert cli.main(words) == 2
    assert sorted(tmp_path.rglob("*.json")) == before
