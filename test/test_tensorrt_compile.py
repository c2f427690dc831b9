"""Every exported graph is compiled by NVIDIA's own compiler: TensorRT-RTX builds without a GPU.

It shares ONNX parser, network and strong typing with TensorRT; what it makes is run nowhere here.
The engines are built by the same code as on a robot, which is given another module.
"""

from __future__ import annotations

import exported_graphs
import pytest
import tensorrt_rtx_bindings as tensorrt_rtx

from vdd_ros.errors import UserError
from vdd_ros.policies.precision import in_precision
from vdd_ros.tensorrt_builder import WORKSPACE, build


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", exported_graphs.NAMES)
def test_every_graph_compiles_in_every_precision(name, precision, tmp_path):
    made = exported_graphs.made(name)
    graph = in_precision(made.graph, precision, made.inputs)
    plan = build(tensorrt_rtx, graph, tmp_path / "log")
    assert len(plan) > 1000
    log = (tmp_path / "log").read_text()
    assert "INFO" in log and "ERROR" not in log


def test_the_graph_of_one_expert_compiles(tmp_path):
    """It is in fp32 in every bundle; no engine of it is needed, and none would be refused."""
    assert len(
        build(tensorrt_rtx, exported_graphs.made(exported_graphs.EXPERT).graph, tmp_path / "a")
    )
    assert "ERROR" not in (tmp_path / "a").read_text()


def test_a_teacher_written_out_compiles_and_one_in_a_loop_is_refused(tmp_path):
    """Both are of vdd bench latency alone; of ONNX's Loop the parser wants more than is there."""
    assert build(tensorrt_rtx, exported_graphs.made(exported_graphs.UNROLLED).graph, tmp_path / "a")
    graph = exported_graphs.made(exported_graphs.LOOPED).graph
    with pytest.raises(UserError, match=r"could not read the graph \(.*all it said is in"):
        build(tensorrt_rtx, graph, tmp_path / "b")
    assert "ERROR" in (tmp_path / "b").read_text()


def test_a_network_is_typed_strongly():
    """Half precision in the graph is half precision in the network, whatever is faster."""
    made = exported_graphs.made("student full")
    graph = in_precision(made.graph, "fp16", [])
    logger = tensorrt_rtx.Logger(tensorrt_rtx.Logger.ERROR)
    builder = tensorrt_rtx.Builder(logger)
    network = builder.create_network(
        1 << int(tensorrt_rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    assert tensorrt_rtx.OnnxParser(network, logger).parse(graph)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    products = [one for one in layers if one.type == tensorrt_rtx.LayerType.MATRIX_MULTIPLY]
    norms = [one for one in layers if one.type == tensorrt_rtx.LayerType.NORMALIZATION]
    kinds = {one.get_output(0).dtype for one in products}
    assert tensorrt_rtx.DataType.HALF in kinds
    assert norms and all(one.get_output(0).dtype == tensorrt_rtx.DataType.FLOAT for one in norms)


def test_tf32_is_off_and_the_workspace_is_bounded():
    """TF32 has 10 bits of fp32's 23, and is on unless it is cleared."""
    from vdd_ros.tensorrt_builder import _config

    builder = tensorrt_rtx.Builder(tensorrt_rtx.Logger(tensorrt_rtx.Logger.ERROR))
    usual = builder.create_builder_config()
    assert usual.get_flag(tensorrt_rtx.BuilderFlag.TF32)
    config = _config(tensorrt_rtx, builder)
    assert not config.get_flag(tensorrt_rtx.BuilderFlag.TF32)
    assert config.get_memory_pool_limit(tensorrt_rtx.MemoryPoolType.WORKSPACE) == WORKSPACE
