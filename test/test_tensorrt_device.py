"""Engines for real, where there is a GPU with TensorRT or TensorRT-RTX; left out elsewhere."""

from __future__ import annotations

from types import ModuleType

import exported_graphs
import numpy as np
import pytest

from vdd_ros.cuda_driver import Cuda
from vdd_ros.errors import UserError
from vdd_ros.onnx_graph import PIXEL_DTYPES, OnnxGraph
from vdd_ros.policies.precision import as_measured, in_precision
from vdd_ros.tensorrt_builder import build_on
from vdd_ros.tensorrt_graph import TensorRTGraph

# of the largest number of the outputs; sums are in another order than on a processor
BOUNDS = {"fp32": 1e-4, "fp16": 5e-3, "int8": 2e-2}


try:
    CUDA = Cuda()
except UserError as error:
    pytest.skip(f"no GPU here: {error}", allow_module_level=True)


@pytest.fixture(scope="module", params=["tensorrt", "tensorrt_rtx_bindings"])
def trt(request) -> ModuleType:
    return pytest.importorskip(request.param)


@pytest.mark.parametrize("precision", list(BOUNDS))
@pytest.mark.parametrize("name", exported_graphs.NAMES)
def test_an_engine_computes_what_onnxruntime_does(trt, name, precision, tmp_path):
    made = exported_graphs.made(name)
    graph = in_precision(made.graph, precision, made.inputs)
    plan = build_on(CUDA, trt, graph, tmp_path / "log")
    engine = TensorRTGraph(plan, name, CUDA, trt)
    assert engine.is_captured
    (tmp_path / "graph.onnx").write_bytes(as_measured(graph))
    wanted = OnnxGraph(tmp_path / "graph.onnx", dtypes=PIXEL_DTYPES)
    assert engine.signature == wanted.signature
    for inputs in made.inputs:
        for one in (engine, wanted):
            for key, values in inputs.items():
                one.give(key, values)
            one.run()
        for key, expected in wanted.outputs.items():
            found = engine.outputs[key]
            assert np.abs(found - expected).max() <= BOUNDS[precision] * np.abs(expected).max()


def test_the_gpu_has_an_identity(trt):
    gpu = CUDA.gpu(trt.__version__)
    assert gpu.device and gpu.driver.startswith("CUDA 1")
