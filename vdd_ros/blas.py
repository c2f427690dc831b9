"""The BLAS libraries that this process has loaded, each kept to one thread.

numpy multiplies by OpenBLAS, which hands a product of a few hundred rows to as many threads as
there are processors: at that size they cost more than they give, and disturb what else runs.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

# by the builds of numpy's wheels, of scipy's, and of distributions
SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def loaded_openblas() -> list[str]:
    """Paths of the OpenBLAS libraries in this process."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {line.split(maxsplit=5)[-1] for line in lines if "openblas" in line}
    return sorted(path for path in paths if path.startswith("/"))


def keep_blas_to_one_thread() -> int:
    """From now on, in the whole process; how many libraries there were to tell."""
    told = 0
    for path in loaded_openblas():
        library = ctypes.CDLL(path)
        for name in SETTERS:
            if (setter := getattr(library, name, None)) is not None:
                setter(ctypes.c_int(1))
                told += 1
                break
    return told
