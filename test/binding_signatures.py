"""What TensorRT's and CUDA's real Python bindings have, as text: `data/binding_signatures.json`.

    python test/binding_signatures.py WHEEL... >test/data/binding_signatures.json

WHEEL: tensorrt_cu12_bindings, tensorrt_cu13_bindings or cuda_bindings, of this Python, as PyPI has
them; read is what `gpu_stand_in` has. TensorRT's libraries are not there; its bindings are loaded
over libraries that are empty, which the compiler `cc` makes here. Nothing is called: what is read
are names and docstrings.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType

import gpu_stand_in

LIBRARIES = ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin")
FUNCTIONS = (
    *("createInferBuilder_INTERNAL", "createInferRuntime_INTERNAL", "createInferRefitter_INTERNAL"),
    *("createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getPluginRegistry"),
    *("getBuilderPluginRegistry", "getNvOnnxParserVersion", "initLibNvInferPlugins"),
)


def signatures_of(module: ModuleType) -> dict[str, list[str]]:
    """Of TensorRT, what the stand-in has: `Class.method` -> its signatures, `Class.property` and
    `Enum.MEMBER` -> none."""
    found: dict[str, list[str]] = {}
    for place in gpu_stand_in.members():
        part = module
        for name in place.split("."):
            part = getattr(part, name)
        lines = (part.__doc__ or "").splitlines() if callable(part) else []
        found[place] = [one.strip() for one in lines if f"{place.split('.')[-1]}(" in one]
    return found


def parameters_of(driver: ModuleType) -> dict[str, list[str]]:
    """Of CUDA's driver, what the stand-in has: function -> names of its parameters."""
    return {
        name: list(inspect.signature(getattr(driver, name)).parameters)
        for name in gpu_stand_in.functions()
    }


def _tensorrt(folder: Path) -> dict[str, list[str]]:
    (library,) = folder.rglob("tensorrt.so")
    told = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True)
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    needed = [word.strip("[]") for word in told.stdout.split() if word.startswith("[libnv")]
    for name in needed:
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source]
        subprocess.run(command, check=True)
    os.environ["LD_LIBRARY_PATH"] = str(folder)
    program = (
        "import importlib.util, json, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from binding_signatures import signatures_of\n"
        f"spec = importlib.util.spec_from_file_location('tensorrt', {str(library)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps(signatures_of(module)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _cuda(folder: Path) -> dict[str, list[str]]:
    program = (
        "import json, sys, types\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from binding_signatures import parameters_of\n"
        "import cuda.pathfinder\n"
        "import importlib\n"
        f"cuda.__path__ = [{str(folder / 'cuda')!r}, *cuda.__path__]\n"
        "from cuda.bindings import driver\n"
        "print(json.dumps(parameters_of(driver)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main(wheels: list[str]) -> None:
    """Print what all of them have, by name and version."""
    found = {}
    for wheel in wheels:
        name, version = Path(wheel).name.split("-")[:2]
        with tempfile.TemporaryDirectory() as folder:
            zipfile.ZipFile(wheel).extractall(folder)
            read = _cuda if name.startswith("cuda") else _tensorrt
            found[f"{name} {version}"] = read(Path(folder))
    print(json.dumps(found, indent=0, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1:])
