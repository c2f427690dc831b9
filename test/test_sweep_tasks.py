"""A sweep over simulated tasks: small, but all of it, here and on a Ray cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from foreign_data import CONFIG
from small_sweep import SMALL, written

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.table import tables
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.teacher import TeacherConfig, make_teacher

METHODS = ["teacher", "teacher-1", "vdd", "not-sticky", "teacher-often"]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[list[str], Path]:
    """Words of a finished sweep and its folder."""
    folder = tmp_path_factory.mktemp("sweep")
    contract = Path("config/panda_avoid.yaml").resolve()
    tasks = {"avoid": SMALL["tasks"]["avoid"] | {"contract": str(contract)}}
    words = ["sweep", str(written(folder, tasks=tasks)), "--out", str(folder / "out"), "--json"]
    assert cli.main(words) == 0
    return words, folder / "out"


def test_each_policy_of_each_seed_is_a_line_with_every_figure(done):
    _, out = done
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    assert [(c["seed"], c["method"]) for c in cells] == [(s, m) for s in (0, 1) for m in METHODS]
    for cell in cells:
        assert (cell["task"], cell["teacher"]) == ("avoid", "edm")
        assert 0.0 <= cell["success"] <= 1.0 and len(cell["ways"]) == 2
        for figure in ("energy_distance", "sliced_w2", "off_support", "nfe", "parameters"):
            assert cell[figure] is not None
        assert (cell["nll"] is None) == cell["method"].startswith("teacher")
        assert 0.0 < cell["latency_us"]["p50"] <= cell["latency_us"]["p99"]
        assert cell["training_seconds"] > 0.0
        assert {"entropy", "entropy_dropped", "return", "modes", "acting_rule"} <= cell.keys()
    _, table, ablations, _ = tables(cells)
    assert [row[0] for row in table.rows] == METHODS[:3]
    assert [row[0] for row in ablations.rows] == METHODS[2:]


def test_a_policy_that_acts_with_anothers_run_has_its_figures_and_its_own_rollouts(done):
    _, out = done
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    of = {cell["method"]: cell for cell in cells if cell["seed"] == 0}
    own, other = of["vdd"], of["not-sticky"]
    assert other["run"] == own["run"] == "vdd"
    assert own["acting_rule"].startswith("draw for 5 ticks") and "agreement" in own["acting_rule"]
    assert other["acting_rule"].startswith("draw for 1 ticks or")
    assert "agreement" not in other["acting_rule"]
    for figure in ("nll", "energy_distance", "off_support_means", "parameters", "latency_us"):
        assert other[figure] == own[figure]
    folder = out / "avoid" / "0" / "edm"
    bundles = [Bundle.load(folder / "bundles" / name) for name in ("vdd", "not-sticky")]
    hashes = [bundle.manifest.files["policy.onnx"] for bundle in bundles]
    assert hashes[0] == hashes[1] and not (folder / "not-sticky").exists()
    start = bundles[0].start
    assert start is not None and (start.lower <= start.upper).all()


def test_a_teacher_acts_once_more_by_another_rule(done):
    _, out = done
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    of = {cell["method"]: cell for cell in cells if cell["seed"] == 0}
    own, other = of["teacher"], of["teacher-often"]
    assert other["acting_rule"] == own["acting_rule"].replace("every 5 ticks", "every 4 ticks")
    assert other["ablation"] and not own["ablation"] and other["objective"] is None
    for figure in ("nfe", "energy_distance", "off_support", "parameters", "latency_us"):
        assert other[figure] == own[figure]


def test_what_is_finished_is_not_done_again(done, capsys):
    words, out = done
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in (out / "avoid").rglob("*.json")}
    assert cli.main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "avoid").rglob("*.json")} == before
    assert "10 cells, 20 rollouts" in capsys.readouterr().out


def copied(done, tmp_path: Path, **changes) -> tuple[list[str], Path]:
    """A finished sweep to go on with by another plan."""
    words, out = done
    shutil.copytree(out, tmp_path / "out", symlinks=True)
    tasks = yaml.safe_load(Path(words[1]).read_text())["tasks"]
    plan = written(tmp_path, **({"tasks": tasks} | changes))
    return ["sweep", str(plan), "--out", str(tmp_path / "out"), "--json"], tmp_path / "out"


def test_students_that_are_added_are_all_that_is_trained_and_rolled_out(done, tmp_path):
    """One is a mixture, one makes a chunk of noise."""
    students = SMALL["students"] | {
        "nll": {"method": "nll", "teachers": ["edm"]},
        "kd": {"method": "kd", "objective": {"sigma_max": 20}, "rule": {"hold_ticks": 4}},
    }
    words, out = copied(done, tmp_path, students=students, seeds=[1])
    folder = out / "avoid" / "1" / "edm"
    results = {kind: folder / "results" / f"{kind}.json" for kind in ("fidelity", "rollouts")}
    before = {kind: json.loads(path.read_text()) for kind, path in results.items()}
    runs = {path: path.stat().st_mtime_ns for path in folder.rglob("run.json")}
    assert cli.main(words) == 0
    after = {kind: json.loads(path.read_text()) for kind, path in results.items()}
    assert {
        kind: {n: one for n, one in told.items() if n not in ("nll", "kd")}
        for kind, told in after.items()
    } == before
    assert all({"nll", "kd"} < told.keys() for told in after.values())
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    assert [cell["method"] for cell in cells] == [*METHODS[:3], "nll", "kd", *METHODS[3:]]
    assert all(cell["latency_us"]["p50"] > 0.0 for cell in cells)
    of = {cell["method"]: cell for cell in cells}
    made, own = of["kd"], of["teacher"]
    assert (made["objective"], made["nfe"], made["experts"]) == ("kd", 1, None)
    assert made["nll"] is None and "no density" in made["missing"]["nll"]
    assert made["energy_distance"] is not None and made["parameters"] == own["parameters"]
    assert made["acting_rule"] == own["acting_rule"].replace("for 5 ticks", "for 4 ticks")
    bundle = Bundle.load(folder / "bundles" / "kd")
    assert (bundle.manifest.method, bundle.manifest.nfe, bundle.density_path) == ("kd", 1, None)


def test_a_ray_cluster_works_on_the_same_parts(done, tmp_path):
    ray = pytest.importorskip("ray")
    words, out = done
    assert ray.__version__
    (tmp_path / "avoid").mkdir()
    (tmp_path / "avoid" / "demonstrations").symlink_to(out / "avoid" / "demonstrations")
    there = [*words[:3], str(tmp_path), "--ray", "local"]
    code = subprocess.run([sys.executable, "-m", "vdd_ros.cli", *there], check=False).returncode
    assert code == 0
    kept = ("task", "method", "seed", "success", "nll", "energy_distance", "off_support", "ways")
    ours, theirs = (
        [
            {name: json.loads(line)[name] for name in kept}
            for line in (folder / "cells.jsonl").read_text().splitlines()
        ]
        for folder in (out, tmp_path)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [0, 0]}, "seeds repeat"),
        ({"tasks": {"avoid": {"demonstrations": 2, "held_out": 2}}}, "nothing is left to train"),
        ({"students": {"a": {"method": "vdd", "teachers": ["x"]}}}, "a: teachers are of edm"),
        (
            {"students": {"a": {"method": "vdd", "teachers": ["edm"], "tasks": ["fly"]}}},
            "a: task 'fly' is none of avoid",
        ),
        ({"teachers": {"edm": {"config": {"width": 1, "wdth": 2}}}}, "TeacherConfig has no 'wdth'"),
        ({"rollouts": 0}, "rollouts"),
        (
            {"teachers": {"edm": {"objectives": {"nll": {"settle": 0.5}}}}},
            "edm: no student is by method 'nll'",
        ),
        ({"teachers": {"edm": {"objectives": {"vdd": {"strt": 0}}}}}, "Vdd has no 'strt'"),
        ({"acting": {"a": {"of": "b", "rule": {"draws": 1}}}}, "a: of is teacher or one of vdd"),
        ({"acting": {"a": {"of": "vdd", "rule": {}}}}, "acting.a.rule"),
        ({"acting": {"a": {"of": "vdd", "rule": {"hold": 1}}}}, "RuleChanges has no 'hold'"),
        ({"acting": {"a": {"of": "vdd", "rule": {"draws": 0}}}}, "a: acting rule: draws is 0"),
        ({"acting": {"vdd": {"of": "vdd", "rule": {"draws": 1}}}}, "vdd is something else's name"),
        (
            {"acting": {"a": {"of": "vdd", "rule": {"draws": 1}, "tasks": ["push"]}}},
            "a: vdd does not learn all of",
        ),
        (
            {"ablations": {"vdd": SMALL["students"]["vdd"]}},
            "vdd is something else's name",
        ),
        ({"ablations": {"a b": SMALL["students"]["vdd"]}}, "a name is of letters.*found 'a b'"),
        (
            {"students": {"results": {"method": "vdd", "teachers": ["edm"]}}},
            "results is something else's name",
        ),
    ],
)
def test_a_plan_with_a_mistake_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        TasksPlan.from_yaml(written(tmp_path, **changes))


def test_episodes_and_unknown_parts_are_refused_before_anything_is_written(tmp_path, capsys):
    words = ["sweep", str(written(tmp_path)), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--part", "avoid/2"]) == 2
    assert "no part 'avoid/2': name one of avoid/demonstrations, avoid/0" in capsys.readouterr().err
    assert cli.main([*words, "--episodes", str(tmp_path)]) == 2
    assert "drop --episodes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_who_visits_must_have_been_distilled_before(tmp_path):
    visited = {"method": "vdd", "teachers": ["edm"], "visited": {"by": "b", "episodes": 1}}
    students = {"a": visited, "b": SMALL["students"]["vdd"]}
    with pytest.raises(UserError, match="a: visited.by is one of the students above it"):
        TasksPlan.from_yaml(written(tmp_path, students=students, acting={}))
    TasksPlan.from_yaml(written(tmp_path, students=dict(reversed(students.items())), acting={}))


def test_an_ablation_is_a_student_and_who_acts_may_act_with_it(tmp_path):
    plan = TasksPlan.from_yaml(
        written(
            tmp_path,
            ablations={"nll": {"method": "nll", "teachers": ["edm"], "student": {"n_experts": 1}}},
            acting={"nll-means": {"of": "nll", "rule": {"output": "mean"}}},
        )
    )
    assert plan.students_of("avoid", "edm") == ["vdd", "nll"]
    assert plan.acting_of("avoid", "edm") == ["nll-means"] and plan.run_of("nll-means") == "nll"
    assert "2 seeds of 1 teachers and 2 students" in plan.budget and "10 cells" in plan.budget


def test_students_of_one_teacher_may_differ_by_method_and_a_student_has_the_last_word(tmp_path):
    students = {
        "usual": {"method": "vdd"},
        "other": {"method": "vdd", "objective": {"start": 0.5}},
    }
    teachers = {"edm": {}, "ddpm": {"objectives": {"vdd": {"start": 0.1, "band": 5.0}}}}
    changes = {"students": students, "teachers": teachers, "acting": {}}
    plan = TasksPlan.from_yaml(written(tmp_path, **changes))
    assert plan.student_of("edm", "usual").objective == {}
    assert plan.student_of("ddpm", "usual").objective == {"start": 0.1, "band": 5.0}
    assert plan.student_of("ddpm", "other").objective == {"start": 0.5, "band": 5.0}


def test_the_plan_of_nine_tasks_can_be_read():
    plan = TasksPlan.from_yaml(CONFIG / "benchmarks" / "nine_tasks.yaml")
    assert len(plan.tasks) == 9 and list(plan.students)[0] == "vdd"
    assert plan.teachers_of("avoid") == ["edm", "ddpm", "transformer"]
    assert plan.teachers_of("sort") == ["edm"]
    assert "vdd" in plan.students_of("push", "ddpm") and "em" not in plan.students_of(
        "push", "ddpm"
    )


def test_no_student_of_nine_tasks_is_refused_for_its_size():
    plan = TasksPlan.from_yaml(CONFIG / "benchmarks" / "nine_tasks.yaml")
    for task, wanted in plan.tasks.items():
        contract = Contract.from_yaml(CONFIG / f"panda_{task}.yaml")
        for teacher in plan.teachers_of(task):
            own = plan.teacher | wanted.teacher | plan.teachers[teacher].config
            config = TeacherConfig(**own)
            sizes = (contract.observation_dim, contract.observation_dim, config.rank)
            allowed = count_parameters(make_teacher(config, *sizes))
            assert allowed <= 500_000
            for name in plan.students_of(task, teacher):
                own = plan.student | wanted.student | plan.every_student[name].student
                assert count_parameters(GaussianMoE(StudentConfig(**own), *sizes)) <= allowed, name


def test_who_visits_learns_the_same_of_the_same_teacher(tmp_path):
    visited = {"method": "vdd", "teachers": ["edm"], "visited": {"by": "b", "episodes": 1}}
    for other in ({"teachers": ["other"]}, {"tasks": ["push"]}):
        changes = {
            "tasks": SMALL["tasks"] | {"push": {"demonstrations": 3, "held_out": 1}},
            "teachers": {"edm": {}, "other": {}},
            "students": {"b": SMALL["students"]["vdd"] | other, "a": visited},
        }
        with pytest.raises(UserError, match="visited.by is a student of the same teacher"):
            TasksPlan.from_yaml(written(tmp_path, **changes))
