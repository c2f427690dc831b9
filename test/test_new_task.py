"""The task of docs/guides/new_task.md is one: it is shown in both ways, and recorded."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from pages import ROOT, blocks_of

from vdd_ros import cli
from vdd_ros.episode import EpisodeStore
from vdd_ros.sim.demonstrators import OPERATORS
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks import TASKS

BLOCKS = blocks_of(ROOT / "docs" / "guides" / "new_task.md")
TASK, OPERATOR = (block.text for block in BLOCKS if block.language == "python")
(CONTRACT,) = (block.text for block in BLOCKS if block.language == "yaml")


def module_of(name: str, code: str) -> ModuleType:
    """As it would be in a file of its own, beside the others."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(code, f"new_task.md: {name}", "exec"), module.__dict__)
    return module


@pytest.fixture
def nudge(tmp_path, monkeypatch):
    """The task, the operator and the contract, where the page says that they belong."""
    monkeypatch.setitem(TASKS, "nudge", module_of("nudge_task", TASK).Nudge)
    monkeypatch.setitem(OPERATORS, "nudge", module_of("nudge_operator", OPERATOR).NudgeOperator)
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "panda_nudge.yaml").write_text(CONTRACT)
    monkeypatch.chdir(tmp_path)
    yield TASKS["nudge"]
    del sys.modules["nudge_task"], sys.modules["nudge_operator"]


def test_it_is_shown_in_both_ways_and_recorded(nudge):
    words = ["record", "--task", "nudge", "--contract", "panda_nudge.yaml", "--out", "episodes"]
    assert cli.main([*words, "--episodes", "4", "--one-process"]) == 0
    store = EpisodeStore("episodes")
    metas = [store.manifest(name).meta for name in store.list()]
    assert sorted(meta["way"] for meta in metas) == [0, 0, 1, 1]
    for name, meta in zip(store.list(), metas, strict=True):
        y = store.load(name).streams["objects"].fields["position"].reshape(-1, 3)[:, 1]
        assert np.sign(y[-1] - y[0]) == 1 - 2 * meta["way"]
        assert 0.05 <= abs(y[-1] - y[0]) < 0.1


def test_nothing_is_decided_before_it_is_touched_and_late_is_a_failure(nudge):
    env = RobosuiteEnv("nudge")
    env.advance(1.0)
    assert not env.status().finished and env.task.mode() is None
    env.advance(nudge.time_limit_s)
    assert env.status().finished and not env.status().success
    env.close()
