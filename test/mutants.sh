#!/bin/sh
# Mutation testing of one file by its own tests, in a copy; needs `pip install "mutmut>=3"` beside the lock.
#     test/mutants.sh vdd_ros/safety.py test/test_safety.py test/test_jerk_limits.py
# The last line counts the mutants: killed, without a test, timed out, suspicious, survived.
# `mutmut show NAME` in the folder that it names shows one that survived.
set -eu
file=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
(cd "$root" && git ls-files -z vdd_ros policies sim calibration config test pyproject.toml) |
    (cd "$root" && xargs -0 tar c) | tar x -C "$copy"
cd "$copy"
{
    echo "[mutmut]"
    echo "source_paths=$file"
    echo "pytest_add_cli_args_test_selection="
    printf '    %s\n' "$@"
    echo "also_copy="
    printf '    %s\n' vdd_ros config test policies sim calibration pyproject.toml
} >setup.cfg
echo "in $copy"
MUJOCO_GL=disable OMP_NUM_THREADS=1 "${PYTHON:-python}" -m mutmut run
