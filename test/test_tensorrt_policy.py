"""A policy in TensorRT, with a processor in the place of the GPU: what is ours around it."""

from __future__ import annotations

import gc
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import gpu_stand_in
import numpy as np
import pytest
import torch

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.cli import main
from vdd_ros.commands.bench.bundle.graph_damage import external
from vdd_ros.contract import Contract
from vdd_ros.cuda_driver import Cuda
from vdd_ros.durable import lock_folder
from vdd_ros.errors import UserError
from vdd_ros.graph import GraphError
from vdd_ros.inference import OnnxPolicy, warm_up
from vdd_ros.nodes.action_parameters import ActionParameters
from vdd_ros.nodes.action_setup import prepared
from vdd_ros.normalizer import Normalizer
from vdd_ros.onnx_graph import OnnxGraph
from vdd_ros.parity import Recorded
from vdd_ros.policies.export import student_graphs
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.signature import make_keys
from vdd_ros.tensorrt_builder import memory_needed, require_memory
from vdd_ros.tensorrt_graph import TensorRTGraph
from vdd_ros.tensorrt_library import make_log, require_supported
from vdd_ros.tensorrt_policy import Machine, TensorRTPolicy, open_engines

TO, H, RANK = 2, 3, 5
RULE = ActingRule(output="sample", draws=4)


@pytest.fixture
def driver(monkeypatch) -> gpu_stand_in.Driver:
    """This computer has an Orin for the length of a test."""
    return gpu_stand_in.installed(monkeypatch)


@pytest.fixture(scope="module")
def parts() -> dict:
    """A small student of the usual contract, with windows as they are recorded."""
    contract = Contract.from_yaml(Path(__file__).parents[1] / "config" / "panda_avoid.yaml")
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(60, TO, contract.observation_dim)).cumsum(1) * 0.1
    chunks = (
        observations[:, -1:, : contract.action_dim]
        + rng.normal(size=(60, H, contract.action_dim)) * 0.05
    )
    normalizer = Normalizer.fit(observations, chunks, RANK, rng)
    torch.manual_seed(0)
    student = GaussianMoE(StudentConfig(n_experts=3, width=16, blocks=1), *normalizer.sizes).eval()
    policy, density = student_graphs(student, normalizer, observations.shape[1:])
    return {
        "contract": contract,
        "policy_onnx": policy,
        "density_onnx": density,
        "normalizer": normalizer.to_dict(),
        "recorded": Recorded(observations.astype(np.float32), chunks.astype(np.float32)),
    }


@pytest.fixture
def bundle(parts, tmp_path) -> Bundle:
    return written(tmp_path / "bundle", parts)


def written(folder: Path, parts: dict, **changes) -> Bundle:
    usual = {
        "name": "avoid",
        "kind": "mixture",
        "rule": RULE,
        "n_obs_steps": TO,
        "horizon": H,
        "n_experts": 3,
        "certificate": {"parity": None},
    }
    return write_bundle(folder, **usual | parts | changes)


def exported(bundle: Bundle, results: Path, *more: object) -> int:
    words = ["export", "--run", bundle.folder, "--tensorrt", "--results", results, "--json", *more]
    return main([*map(str, words)])


def test_an_engine_gives_what_its_graph_gives(driver, parts, tmp_path):
    path = tmp_path / "policy.onnx"
    path.write_bytes(parts["policy_onnx"])
    wanted, cuda = OnnxGraph(path), Cuda()
    found = TensorRTGraph(parts["policy_onnx"], "engine", cuda, sys.modules["tensorrt"])
    assert found.signature == wanted.signature and found.is_captured
    for window in parts["recorded"].observations[:3]:
        for graph in (wanted, found):
            graph.give("window", window)
            graph.run()
        for name, expected in wanted.outputs.items():
            np.testing.assert_array_equal(found.outputs[name], expected)


@pytest.mark.parametrize("captures", [True, False])
def test_what_an_engine_had_of_the_gpu_is_given_back_with_it(driver, parts, captures):
    """A node that is configured anew has another policy, as often as it is asked."""
    driver.captures = captures
    window, cuda = parts["recorded"].observations[0], Cuda()
    for _ in range(2):
        graph = TensorRTGraph(parts["policy_onnx"], "engine", cuda, sys.modules["tensorrt"])
        graph.give("window", window)
        graph.run()
        kept, told = graph.outputs["means"], graph.outputs["means"].copy()
        assert driver.left > 4
        del graph
        gc.collect()
        assert driver.left == 1, "what an array still sees is not freed below it"
        np.testing.assert_array_equal(kept, told)
        del kept
        assert driver.left == 0


def test_what_is_no_engine_is_told_with_what_tensorrt_said(driver):
    with pytest.raises(
        UserError, match="cannot load it .magic tag does not match.: build it again"
    ):
        TensorRTGraph(b"no engine", "it", Cuda(), sys.modules["tensorrt"])


def test_a_call_is_one_launch_and_one_wait(driver, parts):
    graph = TensorRTGraph(parts["policy_onnx"], "engine", Cuda(), sys.modules["tensorrt"])
    outputs = {name: array.ctypes.data for name, array in graph.outputs.items()}
    driver.calls.clear()
    for window in parts["recorded"].observations[:5]:
        graph.give("window", window)
        graph.run()
    assert driver.calls == ["cuGraphLaunch", "cuStreamSynchronize"] * 5
    assert {name: array.ctypes.data for name, array in graph.outputs.items()} == outputs


def test_what_cannot_be_captured_is_queued_anew_each_time(driver, parts, tmp_path):
    driver.captures = False
    graph = TensorRTGraph(parts["policy_onnx"], "engine", Cuda(), sys.modules["tensorrt"])
    assert not graph.is_captured
    path = tmp_path / "policy.onnx"
    path.write_bytes(parts["policy_onnx"])
    wanted = OnnxGraph(path)
    for one in (wanted, graph):
        one.give("window", parts["recorded"].observations[7])
        one.run()
    np.testing.assert_array_equal(graph.outputs["means"], wanted.outputs["means"])
    assert "cuGraphLaunch" not in driver.calls


def test_another_thread_enters_the_context_once(driver, parts):
    graph = TensorRTGraph(parts["policy_onnx"], "engine", Cuda(), sys.modules["tensorrt"])
    driver.calls.clear()
    thread = threading.Thread(target=lambda: [graph.run() for _ in range(3)])
    thread.start()
    thread.join()
    assert driver.calls.count("cuCtxSetCurrent") == 1


def test_a_failing_call_is_told_as_of_any_graph(driver, parts):
    graph = TensorRTGraph(parts["policy_onnx"], "engine", Cuda(), sys.modules["tensorrt"])
    with pytest.raises(GraphError, match="shape"):
        graph.give("window", np.zeros((1, 3)))
    lost = gpu_stand_in.CUresult.CUDA_ERROR_INVALID_VALUE
    driver.cuGraphLaunch = lambda hGraphExec, hStream: (lost,)  # noqa: N803
    with pytest.raises(GraphError, match="cuGraphLaunch: CUDA_ERROR_INVALID_VALUE"):
        graph.run()


def test_a_bundle_runs_in_the_engines_that_were_built_here(driver, bundle, tmp_path, capsys):
    assert exported(bundle, tmp_path / "results") == 0
    assert "engine of density.onnx" in capsys.readouterr().out
    policy, usual = open_engines(bundle, tmp_path / "results"), bundle.open_policy()
    window = bundle.recorded.observations[5]
    warm_up(policy, window, draws=4, calls=2)
    for found, expected in zip(policy.infer(window), usual.infer(window), strict=True):
        np.testing.assert_array_equal(found, expected)
    found, expected = policy.density.parameters(window), usual.density.parameters(window)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_robot_asks_for_engines_by_a_parameter(driver, bundle, contract_path, tmp_path):
    settings = ActionParameters(
        contract=str(contract_path),
        bundle=str(bundle.folder),
        runtime="tensorrt",
        device_results=str(tmp_path / "results"),
    )
    with pytest.raises(UserError, match="no engine in .* build it here"):
        prepared(settings)
    exported(bundle, tmp_path / "results")
    assert isinstance(prepared(settings).loop.policy, TensorRTPolicy)
    assert type(prepared(replace(settings, runtime="onnxruntime")).loop.policy) is OnnxPolicy


def test_a_robot_that_trusts_a_key_runs_no_engine_without_it(
    driver, parts, contract_path, tmp_path
):
    key, results = tmp_path / "key", tmp_path / "results"
    make_keys(key, tmp_path / "key.pub")
    bundle = written(tmp_path / "bundle", parts, key=key)
    settings = ActionParameters(
        contract=str(contract_path),
        bundle=str(bundle.folder),
        runtime="tensorrt",
        device_results=str(results),
        trusted_keys=f"{key}.pub",
    )
    exported(bundle, results)
    with pytest.raises(UserError, match="engine-.* is not signed.*--key .of vdd export --tensorrt"):
        prepared(settings)
    exported(bundle, results, "--key", key)
    assert isinstance(prepared(settings).loop.policy, TensorRTPolicy)


def test_after_an_update_there_is_no_engine_and_both_identities_are_told(
    driver, bundle, tmp_path, monkeypatch
):
    exported(bundle, tmp_path / "results")
    newer = gpu_stand_in.stand_in(driver, "10.7.0")
    monkeypatch.setitem(sys.modules, "tensorrt", newer)
    with pytest.raises(UserError) as told:
        open_engines(bundle, tmp_path / "results")
    text = str(told.value)
    assert "tensorrt 10.3.0" in text and "tensorrt 10.7.0" in text
    assert "which differs in tensorrt" in text and "vdd export --run BUNDLE --tensorrt" in text
    assert exported(bundle, tmp_path / "results") == 0
    assert open_engines(bundle, tmp_path / "results").n_experts == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda driver: setattr(driver, "capability", (7, 2)), "compute_capability"),
        (lambda driver: setattr(driver, "version", 13020), "driver"),
    ],
)
def test_every_part_of_an_identity_counts(driver, bundle, tmp_path, change, told):
    exported(bundle, tmp_path / "results")
    change(driver)
    with pytest.raises(UserError, match=f"which differs in {told}"):
        open_engines(bundle, tmp_path / "results")


def test_an_engine_of_another_bundle_is_none(driver, parts, bundle, tmp_path):
    exported(bundle, tmp_path / "results")
    other = written(tmp_path / "other", parts, name="other", rule=ActingRule())
    with pytest.raises(UserError, match="no engine in"):
        open_engines(other, tmp_path / "results")


def test_an_engine_that_was_changed_is_never_loaded(driver, bundle, tmp_path, monkeypatch):
    exported(bundle, tmp_path / "results")

    def deserialize(self, serialized_engine):
        raise AssertionError("an engine was loaded")

    runtime = sys.modules["tensorrt"].Runtime
    monkeypatch.setattr(runtime, "deserialize_cuda_engine", deserialize)
    plans = sorted((tmp_path / "results").rglob("engine.plan"))
    assert len(plans) == 2
    for plan in plans:
        plan.write_bytes(plan.read_bytes() + b"\0")
    with pytest.raises(UserError, match="engine.plan is damaged or edited"):
        open_engines(bundle, tmp_path / "results")


def test_an_engine_that_anyone_may_write_is_never_loaded(driver, bundle, tmp_path):
    exported(bundle, tmp_path / "results")
    for plan in (tmp_path / "results").rglob("engine.plan"):
        plan.chmod(0o666)
    with pytest.raises(UserError, match="may have been written by someone else"):
        open_engines(bundle, tmp_path / "results")


def test_an_engine_in_a_folder_that_anyone_may_write_is_never_loaded(driver, bundle, tmp_path):
    exported(bundle, tmp_path / "results")
    for plan in (tmp_path / "results").rglob("engine.plan"):
        plan.parent.chmod(0o777)
    with pytest.raises(UserError, match="may have been written by someone else"):
        open_engines(bundle, tmp_path / "results")


def test_two_processes_do_not_build_at_once(driver, bundle, tmp_path):
    exported(bundle, tmp_path / "results")
    held = lock_folder(next((tmp_path / "results").rglob("engine-*")).parent)
    assert held is not None
    with pytest.raises(UserError, match="another process builds engines"):
        main_export(bundle, tmp_path / "results")
    os.close(held)
    main_export(bundle, tmp_path / "results")


def test_a_full_disk_does_not_end_a_build(driver, tmp_path):
    """A folder in the log's place cannot be written either."""
    log = make_log(sys.modules["tensorrt"], tmp_path)
    log.log(sys.modules["tensorrt"].ILogger.Severity.ERROR, "it went wrong")
    assert log.errors == ["it went wrong"]


def test_engines_that_disagree_are_not_kept(driver, bundle, tmp_path, monkeypatch, capsys):
    """TensorRT computes with weights of another network."""
    gpu_stand_in.spoil(monkeypatch, "weight", 1.5)
    assert exported(bundle, tmp_path / "results") == 2
    assert "the engines differ from" in capsys.readouterr().err
    assert not list((tmp_path / "results").rglob("engine.plan"))
    (report,) = (tmp_path / "results").rglob("failed-parity.json")
    assert "joint error" in report.read_text()


def test_a_graph_that_tensorrt_does_not_read_leaves_a_log(driver, bundle, tmp_path, monkeypatch):
    def refused(self, model):
        self._faults = [type("Fault", (), {"desc": lambda self: "no importer for Loop"})()]
        return False

    monkeypatch.setattr(sys.modules["tensorrt"].OnnxParser, "parse", refused)
    with pytest.raises(UserError, match="could not read the graph .no importer for Loop"):
        main_export(bundle, tmp_path / "results")
    assert list((tmp_path / "results").rglob("failed-build.log"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (lambda policy: {"policy_onnx": external(policy)}, "in another file"),
        (lambda policy: {"policy_onnx": policy[: len(policy) // 2]}, "not a usable ONNX model"),
        (lambda policy: {"recorded": None}, "has no recorded windows"),
    ],
    ids=["numbers elsewhere", "half a graph", "no windows"],
)
def test_nothing_is_built_of_what_cannot_be_compared(driver, parts, tmp_path, changes, told):
    """And TensorRT reads no graph that was not looked at."""
    bundle = written(tmp_path / "bundle", parts, **changes(parts["policy_onnx"]))
    with pytest.raises(UserError, match=told):
        main_export(bundle, tmp_path / "results")
    assert driver.calls == [] and not (tmp_path / "results").exists()


def test_a_key_that_is_none_is_told_before_anything_is_built(driver, bundle, tmp_path, capsys):
    (tmp_path / "key").write_text("no key")
    assert exported(bundle, tmp_path / "results", "--key", tmp_path / "key") == 2
    assert "is no private key" in capsys.readouterr().err and driver.calls == []


def main_export(bundle: Bundle, results: Path) -> None:
    from vdd_ros.commands.export_engine import export_engines

    export_engines(bundle.folder, results, None, 0)


def test_memory_is_looked_at_before_a_build(driver, bundle, tmp_path):
    driver.free = 112 * 2**20
    with pytest.raises(UserError, match="the GPU has 112 MiB free: end other programs"):
        main_export(bundle, tmp_path / "results")
    needed = memory_needed(b"graph")
    require_memory(b"graph", needed, needed)
    with pytest.raises(UserError, match="the processor has"):
        require_memory(b"graph", needed, needed - 1)


def test_what_tensorrt_says_is_kept_beside_the_engine(driver, bundle, tmp_path):
    exported(bundle, tmp_path / "results")
    for log in (tmp_path / "results").rglob("build.log"):
        assert log.read_text() == "INFO engine generation completed\n"


def test_a_computer_without_a_gpu_is_told_what_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(UserError, match="cuda-python is not installed"):
        Cuda()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(UserError, match="sudo apt-get install -y python3-libnvinfer"):
        Machine.here()


def test_other_major_versions_are_refused():
    for version in ("10.3.0", "10.16.2.10", "11.4.0.106"):
        require_supported(version)
    for version in ("8.6.1", "12.0.0", "1.7.1.116"):
        with pytest.raises(UserError, match=f"TensorRT {version} found; this program knows 10 or"):
            require_supported(version)
