"""What stands in for TensorRT and CUDA has nothing that the real bindings have not.

Our code runs on the stand-in (test_tensorrt_policy.py), so whatever it uses is there; here each
part of the stand-in is compared with the real ones: live with TensorRT-RTX and cuda-python, and
with what `binding_signatures.py` read of the bindings of JetPack 6.1 (10.3), of JetPack 7.2 (10.16)
and of TensorRT 11, whose libraries cannot be had from a registry.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import gpu_stand_in
import pytest
import tensorrt_rtx_bindings
from binding_signatures import parameters_of, signatures_of
from cuda.bindings import driver as real_driver

from vdd_ros.tensorrt_library import make_log

READ = json.loads((Path(__file__).parent / "data" / "binding_signatures.json").read_text())
RTX, CUDA = f"TensorRT-RTX {tensorrt_rtx_bindings.__version__}", "cuda-python"
TENSORRT = [name for name in READ if name.startswith("tensorrt")]
DRIVERS = [name for name in READ if name.startswith("cuda")]


def tensorrt_of(name: str) -> dict[str, list[str]]:
    return signatures_of(tensorrt_rtx_bindings) if name == RTX else READ[name]


def parameters(signature: str) -> dict[str, bool]:
    """`f(self: a.B, x: int = 0) -> C` -> {"x": True}, whether it may be left out."""
    inside = signature[signature.index("(") + 1 : signature.rindex(")", 0, _arrow(signature))]
    # commas within a type are inside brackets
    parts = re.split(r",\s*(?![^\[]*\])", inside)
    told = {part.split(":")[0].strip(): "=" in part for part in parts if part.strip()}
    told.pop("self", None)
    return told


def _arrow(signature: str) -> int:
    found = signature.find(" -> ")
    return len(signature) if found < 0 else found


def stood_in(place: str):
    """The part of the stand-in; None for what it only names."""
    module = gpu_stand_in.stand_in(gpu_stand_in.Driver())
    kind, member = place.rsplit(".", 1)
    for source in (module, gpu_stand_in):
        if (found := getattr(source, kind, None)) is not None:
            return inspect.getattr_static(found, member, None)
    return None


def test_versions_of_jetsons_and_of_today_were_read():
    assert {name.split()[1] for name in TENSORRT} == {"10.3.0", "10.16.1.11", "11.4.0.106"}
    assert {name.split()[1].split(".")[0] for name in DRIVERS} == {"12", "13"}


@pytest.mark.parametrize("name", [*TENSORRT, RTX])
def test_every_member_is_there_with_these_arguments(name):
    real = tensorrt_of(name)
    assert set(real) == set(gpu_stand_in.members())
    compared = 0
    for place, signatures in real.items():
        ours = stood_in(place)
        if not inspect.isfunction(ours):
            continue
        mine = [one for one in inspect.signature(ours).parameters if one != "self"]
        fits = []
        for signature in signatures:
            if "*args" in signature:
                continue
            theirs = parameters(signature)
            needed = [one for one, optional in theirs.items() if not optional]
            fits.append(mine[: len(needed)] == needed and mine == list(theirs)[: len(mine)])
        assert any(fits), f"{place}: {mine} against {signatures}"
        compared += 1
    assert compared > 12


@pytest.mark.parametrize("name", [*DRIVERS, CUDA])
def test_every_function_of_the_driver_has_these_arguments(name):
    real = parameters_of(real_driver) if name == CUDA else READ[name]
    for function, theirs in real.items():
        ours = inspect.signature(getattr(gpu_stand_in.Driver, function)).parameters
        assert [one for one in ours if one != "self"] == theirs, function
    assert set(real) == set(gpu_stand_in.functions())


@pytest.mark.parametrize(
    "kind", ["CUresult", "CUdevice_attribute", "CUstream_flags", "CUstreamCaptureMode"]
)
def test_constants_of_the_driver_are_the_real_ones(kind):
    for one in getattr(gpu_stand_in, kind):
        assert int(getattr(getattr(real_driver, kind), one.name)) == int(one)


def test_a_logger_of_ours_is_called_by_the_real_library(tmp_path):
    log = make_log(tensorrt_rtx_bindings, tmp_path / "log")
    builder = tensorrt_rtx_bindings.Builder(log)  # a network does not keep it
    network = builder.create_network(0)
    parser = tensorrt_rtx_bindings.OnnxParser(network, log)
    assert not parser.parse(b"no graph at all")
    assert log.errors and log.errors[0] in (tmp_path / "log").read_text()


WITHOUT_A_GPU = """
from vdd_ros.cuda_driver import Cuda
from vdd_ros.errors import UserError

try:
    Cuda()
except UserError as error:
    print(error)
"""


def test_cuda_python_without_a_gpu_is_told():
    """The real library, in a process that is shown no GPU on whatever machine."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_GPU],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "CUDA does not work here" in done.stdout and "use the CPU" in done.stdout
