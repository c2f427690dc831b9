"""Every way to run a student's bundle acts alike, by every kind of acting rule."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_student import HOME, Parts, student_bundle, student_parts

from vdd_ros import blas
from vdd_ros.acting import ActingRule
from vdd_ros.action_chunk import ActionChunk
from vdd_ros.action_space import action_space
from vdd_ros.bundle_verification import warmed_up
from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.compiled_expert import CompiledExpert, kernel
from vdd_ros.errors import UserError
from vdd_ros.inference import OnnxPolicy, default_runtime, warm_up
from vdd_ros.planner import Planner
from vdd_ros.policies.precision import in_precision
from vdd_ros.reference import Differences, Reference
from vdd_ros.sealed_folder import Refused
from vdd_ros.stream import Window

TICKS = 150
DRAW = ActingRule(hold_ticks=5, sticky_bound=0.1)
RULES = {
    "draw": DRAW,
    "argmax at every tick": ActingRule("argmax", hold_ticks=1),
    "argmax, held": ActingRule("argmax", hold_ticks=8, sticky_bound=0.3),
    "agreement": replace(DRAW, agreement=0.03),
    "agreement, blurred": replace(DRAW, agreement=0.03, blur=0.9),
    "sample": replace(DRAW, output="sample"),
    "the usual one": STUDENT_RULE,
}


@pytest.fixture(scope="module")
def parts() -> Parts:
    return student_parts()


def plans(policy: OnnxPolicy, rule: ActingRule, contract) -> list[tuple[int, np.ndarray]]:
    """Expert and actions at each tick of an arm that wanders, with a policy and a rule."""
    planner = Planner(contract, policy, rule, np.random.default_rng(7), action_space(contract))
    wander = HOME + 0.02 * np.random.default_rng(8).normal(size=(TICKS + 1, 7)).cumsum(0)
    running, found = None, []
    for tick in range(TICKS):
        tick_ns = tick * contract.control_period_ns
        stamps = np.full((2, len(contract.observation)), tick_ns)
        window = Window(wander[tick : tick + 2], stamps, tick_ns)
        plan = planner.plan(window, running, 1)
        assert plan.fault is None and plan.steps is not None
        running = ActionChunk(plan.steps, tick_ns, contract.policy_period_ns)
        found.append((plan.expert, plan.actions))
    return found


@pytest.mark.parametrize("name", RULES)
def test_all_runtimes_follow_the_same_experts_to_the_same_actions(name, tmp_path, contract, parts):
    rule = RULES[name]
    plain = student_bundle(tmp_path / "plain", contract, parts._replace(expert=None), rule)
    quick = student_bundle(tmp_path / "quick", contract, parts, rule)
    expected = plans(plain.open_policy("onnxruntime"), rule, contract)
    assert len({expert for expert, _ in expected}) > 1, "nothing is shown where one expert does all"
    compiled = ["compiled"] if kernel() is not None else []
    for runtime in ("onnxruntime", "numpy", *compiled):
        policy = quick.open_policy(runtime)
        assert policy.expert is not None
        warm_up(policy, np.tile(HOME, (2, 1)), rule.draws, calls=3)
        found = plans(policy, rule, contract)
        assert [expert for expert, _ in found] == [expert for expert, _ in expected]
        for (_, actions), (_, wanted) in zip(found, expected, strict=True):
            np.testing.assert_allclose(actions, wanted, atol=2e-5)


def test_of_a_held_expert_nothing_else_is_evaluated(tmp_path, contract, parts, monkeypatch):
    rule = ActingRule(hold_ticks=10, sticky_bound=0.0)
    policy = student_bundle(tmp_path / "quick", contract, parts, rule).open_policy()
    asked = []
    infer = policy.infer
    monkeypatch.setattr(policy, "infer", lambda *given: (asked.append(1), infer(*given))[1])
    plans(policy, rule, contract)
    assert len(asked) == TICKS // rule.hold_ticks


def test_numpy_is_taken_where_onnxruntime_is_not_installed(monkeypatch, tmp_path, contract, parts):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("vdd_ros.inference.is_kernel_fast", lambda: False)
    assert default_runtime(False) == default_runtime(True) == "numpy"
    bundle = student_bundle(tmp_path / "bundle", contract, parts, STUDENT_RULE)
    assert plans(bundle.open_policy(), STUDENT_RULE, contract)


@pytest.mark.parametrize(
    ("fast", "built", "has_expert", "runtime"),
    [
        (True, True, True, "compiled"),
        (True, False, True, "numpy"),
        (True, True, False, "onnxruntime"),  # teachers and transformers are faster there
        (False, True, True, "onnxruntime"),  # so is everything beside a reference BLAS
    ],
)
def test_the_usual_runtime_is_the_faster_one(fast, built, has_expert, runtime, monkeypatch):
    monkeypatch.setattr("vdd_ros.inference.is_blas_fast", lambda: fast)
    monkeypatch.setattr("vdd_ros.inference.is_kernel_fast", lambda: built)
    assert default_runtime(has_expert) == runtime


@pytest.mark.parametrize("off", [1e-4, 2e-3])
def test_one_expert_is_in_fp32_beside_graphs_in_fp16(off, tmp_path, contract, parts, monkeypatch):
    """By as much as the bundle's precision is off, and no more."""
    monkeypatch.setattr("vdd_ros.inference.is_kernel_fast", lambda: True)
    halved = parts._replace(
        policy=in_precision(parts.policy, "fp16", []),
        density=in_precision(parts.density, "fp16", []),
        expert=moved(parts.expert, off),
    )
    window = np.tile(HOME, (1, 2, 1))
    reference = Reference(window, None, *_told(parts, window, tmp_path), Differences(1e-3, 1e-3))
    more = {"precision": "fp16", "reference": reference}
    bundle = student_bundle(tmp_path / "halved", contract, halved, STUDENT_RULE, **more)
    assert (bundle.usual_runtime, bundle.graph_runtime()) == ("compiled", "onnxruntime")
    assert bundle.graph_runtime("numpy") == "numpy"
    policy = bundle.open_policy("onnxruntime")
    if off < 1e-3:
        warmed_up(bundle, policy, contract)
        return
    with pytest.raises(Refused, match="graph of one expert is another policy's"):
        warmed_up(bundle, policy, contract)


def moved(expert: bytes, by: float) -> bytes:
    """Whose means are all so much higher [rad]."""
    model = onnx.load_model_from_string(expert)
    for one in model.graph.initializer:
        if one.name == "reference.bias":
            values = onnx.numpy_helper.to_array(one) + np.float32(by)
            one.CopyFrom(onnx.numpy_helper.from_array(values, one.name))
    return model.SerializeToString()


def _told(parts: Parts, windows: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    path = folder / "whole.onnx"
    path.write_bytes(parts.policy)
    given = [OnnxPolicy(path).infer(window) for window in windows]
    return np.stack([one.log_gating for one in given]), np.stack([one.means for one in given])


def test_blas_is_kept_to_one_thread():
    """As the library itself tells."""
    np.dot(np.ones((2, 2)), np.ones(2))
    assert blas.keep_blas_to_one_thread() >= 1 and blas.is_blas_fast()
    for path in blas.loaded(["openblas"]):
        library = ctypes.CDLL(path)
        for setter in blas.SETTERS:
            getter = getattr(library, setter.replace("set", "get"), None)
            assert getter is None or getter() == 1


def test_the_graph_of_another_student_s_expert_is_refused(tmp_path, contract, parts):
    mixed = parts._replace(expert=student_parts(seed=1).expert)
    opened = student_bundle(tmp_path / "bundle", contract, mixed, DRAW).open_policy()
    with pytest.raises(UserError, match="another policy's"):
        warm_up(opened, np.tile(HOME, (2, 1)), 1, calls=3)


def test_who_asks_for_a_kernel_that_was_not_built_is_told(tmp_path, parts, monkeypatch):
    monkeypatch.setattr("vdd_ros.compiled_expert.kernel", lambda: None)
    with pytest.raises(UserError, match="install the package where there is a C compiler"):
        CompiledExpert(parts.expert)
