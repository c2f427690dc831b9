"""The method of docs/new_method.md is one: under 60 lines, distilled, exported, and it works."""

import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from g6_beginning import G6, beginning, judged
from test_distil_few_step import untrained

from vdd_ros.policies.acting_few_step import few_step_graph
from vdd_ros.policies.beds.distilled import distilled
from vdd_ros.policies.certify import PARITY_BOUND, parity
from vdd_ros.policies.objectives import FEW_STEP
from vdd_ros.policies.objectives.settings import METHODS, objective_of, settings_of
from vdd_ros.policies.training import TrainingConfig

PAGE = Path(__file__).parents[1] / "docs" / "new_method.md"
CODE = PAGE.read_text().split("```python\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def solve():
    """As it would be in a file of its own, beside the others."""
    module = ModuleType("solve")
    sys.modules["solve"] = module
    exec(compile(CODE, str(PAGE), "exec"), module.__dict__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FEW_STEP, "solve", module.Solve)
        patch.setitem(METHODS, "solve", module.Solve)
        yield module.Solve
    del sys.modules["solve"]


def test_it_is_a_method_in_under_60_lines(solve):
    assert len(CODE.splitlines()) < 60
    assert list(settings_of("solve")) == [one.name for one in fields(solve)]
    assert objective_of("solve", {"steps": "4"}) == solve(steps=4)


def test_its_graph_says_what_torch_says(solve, tmp_path):
    acting, _, windows = untrained(solve())
    path = tmp_path / "policy.onnx"
    path.write_bytes(few_step_graph(acting, windows.shape[1:]))
    assert 0.0 < parity(path, acting, windows[:5], seed=0)["largest_mean_error"] < PARITY_BOUND


@pytest.mark.slow
def test_a_short_training_leads_noise_to_all_modes(solve):
    begin, data = beginning()
    training = TrainingConfig(steps=600, batch_size=512, learning_rate=1e-3, ema_decay=0.99)
    found = judged(solve(), distilled(G6, begin, solve(), data, training))
    assert found["cov"] == 6 and found["tv"] < 0.08 and found["off"] < 0.5
