"""TensorRTGraph: an engine with its inputs and outputs in buffers of its own, as OnnxGraph is.

Memory is allocated and addresses are told once, and given back with the graph. An evaluation,
copies included, is one CUDA graph that was captured beforehand: it allocates nothing and makes
three calls of the driver at most.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from vdd_ros.cuda_driver import Cuda, CudaError
from vdd_ros.errors import UserError
from vdd_ros.graph import Graph, GraphError
from vdd_ros.tensorrt_library import make_log


class TensorRTGraph(Graph):
    """inputs, outputs: float32; pixels uint8.

    is_captured: whether an evaluation is one launch; a graph with loops or branches cannot be
    captured and is queued anew each time.
    """

    def __init__(self, plan: bytes, what: str, cuda: Cuda, trt: ModuleType):
        """plan: a serialised engine whose origin was checked (engine_store.py); what: its name in
        errors. Raises UserError where it cannot be loaded here."""
        self._cuda = cuda
        cuda.enter()
        log = make_log(trt)
        self._runtime = trt.Runtime(log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        context = None if self._engine is None else self._engine.create_execution_context()
        if context is None:
            reason = log.errors[0] if log.errors else "it gave no reason"
            raise UserError(
                f"TensorRT cannot load {what} ({reason}): build it again on this machine"
            )
        self._context, self._log = context, log
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        self._addresses: dict[str, int] = {}
        for index in range(self._engine.num_io_tensors):
            self._bind(trt, self._engine.get_tensor_name(index), what)
        self._stream = cuda.stream(self)
        self._graph = self._capture()
        self.is_captured = self._graph is not None

    def _bind(self, trt: ModuleType, name: str, what: str) -> None:
        engine = self._engine
        shape = tuple(engine.get_tensor_shape(name))
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        dtypes: dict[object, type] = {trt.DataType.FLOAT: np.float32}
        if is_input:
            dtypes[trt.DataType.UINT8] = np.uint8
        dtype = dtypes.get(engine.get_tensor_dtype(name))
        if dtype is None or min(shape, default=1) < 1:
            raise UserError(
                f"{what}: {name} is {engine.get_tensor_dtype(name)} {shape}; it has to be float32, "
                "or uint8 of pixels, of fixed shape: export the bundle again"
            )
        array = self._cuda.pinned(shape, dtype)
        (self.inputs if is_input else self.outputs)[name] = array
        self._addresses[name] = self._cuda.allocate(array.nbytes, self)
        if not self._context.set_tensor_address(name, self._addresses[name]):
            raise UserError(f"{what}: TensorRT does not take an address for {name}: build it again")

    def _capture(self):
        self._queue()  # what an engine does on its first evaluation cannot be captured
        self._cuda.wait(self._stream)
        try:
            return self._cuda.captured(self._stream, self._queue, self)
        except CudaError:
            return None

    def _queue(self) -> None:
        for name, array in self.inputs.items():
            self._cuda.upload(self._addresses[name], array, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise CudaError(self._log.errors[-1] if self._log.errors else "TensorRT did not run")
        for name, array in self.outputs.items():
            self._cuda.download(array, self._addresses[name], self._stream)

    def run(self) -> None:
        """Evaluate it. Raises GraphError."""
        try:
            self._cuda.enter()
            if self._graph is None:
                self._queue()
            else:
                self._cuda.launch(self._graph, self._stream)
            self._cuda.wait(self._stream)
        except CudaError as error:
            raise GraphError(str(error)) from error
