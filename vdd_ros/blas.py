"""The BLAS libraries that this process has loaded, each kept to one thread.

numpy multiplies by OpenBLAS, which hands a product of a few hundred rows to as many threads as
there are processors: at that size they cost more than they give, and disturb what else runs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from pathlib import Path

# by the builds of numpy's wheels, of scipy's, and of distributions
SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


# in the paths of libraries that are made for the processor; the reference one, which numpy of a
# distribution may have, multiplies several times as slowly
FAST = ("openblas", "mkl", "blis", "armpl", "nvpl_blas", "Accelerate")


def loaded(names: Collection[str]) -> list[str]:
    """Paths of the libraries in this process that have one of these in their path."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {line.split(maxsplit=5)[-1] for line in lines if "/" in line}
    return sorted(path for path in paths if any(name in path for name in names))


def is_blas_fast() -> bool:
    """Whether this process has a BLAS that is made for the processor."""
    return bool(loaded(FAST))


def keep_blas_to_one_thread() -> int:
    """From now on, in the whole process; how many libraries there were to tell."""
    told = 0
    for path in loaded(["openblas"]):
        library = ctypes.CDLL(path)
        for name in SETTERS:
            if (setter := getattr(library, name, None)) is not None:
                setter(ctypes.c_int(1))
                told += 1
                break
    return told
