#!/bin/sh
# Mutation testing of one file by its tests, in a copy; needs `pip install "mutmut>=3"` beside the lock.
#     test/mutants.sh vdd_ros/safety.py                       # by the tests below
#     test/mutants.sh vdd_ros/lag.py test/test_lag.py         # by these
# Slow tests are left out. Tests of hypothesis draw the same examples in every run, and what fails
# is not made smaller, which would take longer than finding it. The last line is the tool's report:
# its counts, and the mutants that were not killed; `mutmut show NAME` in the folder of the first line
# shows one.
set -eu
file=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
if [ $# = 0 ]; then
    case $file in
    vdd_ros/safety.py | vdd_ros/acceleration_limits.py | vdd_ros/step_limits.py | vdd_ros/jerk_*.py)
        set -- safety jerk_limits safety_fuzz
        ;;
    vdd_ros/stream.py) set -- stream record_live_parity ahead image_fit windows image_windows ;;
    policies/moe.py | policies/mixture.py | policies/covariance.py) set -- moe mixture ;;
    *) echo "name the tests of $file" >&2 && exit 2 ;;
    esac
    for name in "$@"; do set -- "$@" "test/test_$name.py" && shift; done
fi
copy=$(mktemp -d)
cd "$root"
# h: the links in vdd_ros/ become folders, of which tests import
git ls-files -coz --exclude-standard vdd_ros policies sim calibration config test pyproject.toml |
    xargs -0 tar ch --exclude __pycache__ | tar x -C "$copy"
cd "$copy"
cat >>test/conftest.py <<END

from hypothesis import Phase, settings

settings.register_profile("mutants", derandomize=True, phases=[Phase.explicit, Phase.generate])
settings.load_profile("mutants")
END
{
    echo "[mutmut]"
    echo "source_paths=vdd_ros/${file#vdd_ros/}"
    echo "pytest_add_cli_args=-mnot slow"
    echo "pytest_add_cli_args_test_selection="
    printf '    %s\n' "$@"
    echo "also_copy="
    printf '    %s\n' vdd_ros config test policies sim calibration pyproject.toml
} >setup.cfg
echo "in $copy"
export MUJOCO_GL=disable OMP_NUM_THREADS=1
mutmut() { "${PYTHON:-python}" -m mutmut "$@"; }
mutmut run
late=$(mutmut results | sed -n 's/: timeout$//p')
# of a busy machine some are late that do not hang
# shellcheck disable=SC2086
[ -z "$late" ] || mutmut run $late
mutmut export-cicd-stats
mutmut results | "${PYTHON:-python}" "$root/test/mutants_report.py" "$file" "$@"
