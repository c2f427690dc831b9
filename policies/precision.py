"""Graphs in half precision and in 8-bit integers, with every precision written into the graph.

What costs time are the products with the network's weights. Only those change their precision:

    fp16    Cast -> product in float16 -> Cast
    int8    QuantizeLinear -> DequantizeLinear before a product, and after its weights, with scales
            from recorded windows; symmetric, and one scale for each column of weights

Everything else stays in float32: units, layer norms, nonlinearities, the softmax of the gating and
all that a log-density is made of, its covariances included. So TensorRT has nothing to choose, and
onnxruntime measures on a processor what TensorRT is to compute. Integers are put in by
onnxruntime's own quantizer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vdd_ros.bundle_manifest import Precision

PRODUCTS = ("Gemm", "MatMul", "Conv", "ConvTranspose")
# constants whose products stay: heads whose numbers become log-densities, and units, of which the
# decoder is named by its transposition
KEPT = (
    *("gating.", "log_scale.", "narrow.", "follow.", "factor."),
    *("units.", "transpose", "of_remainder", "whitened_decoder"),
)
HALF = ".half"
Inputs = Sequence[dict[str, np.ndarray]]


def in_precision(graph: bytes, precision: Precision, calibration: Inputs) -> bytes:
    """A graph in another precision, its inputs and outputs as before. calibration: inputs by name,
    of recorded windows, that int8 takes its scales from."""
    if precision == "fp32":
        return graph
    model = onnx.load_model_from_string(graph)
    chosen = products_of_weights(model)
    changed = _half(model, chosen) if precision == "fp16" else _integer(model, chosen, calibration)
    onnx.checker.check_model(changed)
    return changed.SerializeToString(deterministic=True)


def products_of_weights(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that multiply by weights of a network, `KEPT` ones left out."""
    graph = model.graph
    weights = {
        one.name
        for one in graph.initializer
        if len(one.dims) > 1 and not any(kept in one.name for kept in KEPT)
    }
    return [
        node.name
        for node in graph.node
        if node.op_type in PRODUCTS and weights.intersection(node.input)
    ]


def _half(model: onnx.ModelProto, chosen: list[str]) -> onnx.ModelProto:
    """Casts around the chosen nodes. onnxruntime's own converter casts around the others instead,
    so that all that is between nodes is rounded, a window of joint angles to 2 mrad first."""
    graph = model.graph
    constants = {one.name: one for one in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    cast: set[str] = set()
    for node in graph.node:
        if node.name not in chosen:
            nodes.append(node)
            continue
        for place, name in enumerate(node.input):
            if name and name not in cast:
                cast.add(name)
                if name in constants:
                    with np.errstate(over="ignore"):  # what is infinite does not pass the gate
                        half = numpy_helper.to_array(constants[name]).astype(np.float16)
                    graph.initializer.append(numpy_helper.from_array(half, name + HALF))
                else:
                    nodes.append(_cast(name, name + HALF, TensorProto.FLOAT16))
            node.input[place] = name and name + HALF
        (output,) = node.output
        node.output[0] = output + HALF + ".out"
        nodes += [node, _cast(node.output[0], output, TensorProto.FLOAT)]
    del graph.node[:]
    graph.node.extend(nodes)
    return _without_unused(model)


def as_measured(graph: bytes) -> bytes:
    """The graph that onnxruntime is given to measure float16 on a processor, the same for others.

    It has few kernels for float16 there: it puts casts around a product, and of a cast to float16
    and back again it leaves nothing. Only weights would be rounded. The largest of one number is
    that number, has a kernel, and keeps such casts apart.
    """
    model = onnx.load_model_from_string(graph)
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Cast" or HALF not in node.output[0] + node.input[0]:
            nodes.append(node)
            continue
        if node.output[0].endswith(HALF):
            target, node.output[0] = node.output[0], node.output[0] + ".cast"
            nodes += [node, helper.make_node("Max", [node.output[0]], [target])]
        else:
            source, node.input[0] = node.input[0], node.input[0] + ".kept"
            nodes += [helper.make_node("Max", [source], [node.input[0]]), node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString(deterministic=True)


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast {target}", to=to)


def _without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without constants that no node takes any more, and without what was told of types."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)
    return model


def _integer(model: onnx.ModelProto, chosen: list[str], calibration: Inputs) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _reader(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_quantize=chosen,
            calibrate_method=CalibrationMethod.MinMax,
            # scales without zero points and biases in float32, as TensorRT wants; sums stay
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": list(PRODUCTS),
            },
        )
        return onnx.load_model(path)


def _reader(calibration: Inputs):
    """Inputs one after the other, as onnxruntime asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Recorded(CalibrationDataReader):
        def __init__(self):
            self._left = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    return Recorded()
