#!/bin/sh
# Creates the virtual environment, or finds in well under a second that nothing has changed.
#
#   PYTHON=python3.12 VENV=.venv requirements/venv.sh
#
# The packages come from the lock of the interpreter's minor version, without a resolver. A changed
# lock, torch version, interpreter or place makes a new environment; a changed setup.py or a launch
# file more only installs this package again.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3} VENV=${VENV:-.venv}
export PYTHON
# The ROS wheels leave these behind for their own interpreter; another one must not inherit them.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH PYTHONPATH || true

fail() {
    echo "vdd_ros: $*" >&2
    exit 2
}

# Two calls at once wait for each other.
exec 9<requirements/venv.sh
flock 9

minor=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "$PYTHON does not run; name a Python 3.11, 3.12 or 3.13, for example: make venv PYTHON=python3.12"
[ "$(uname -m)" = x86_64 ] ||
    fail "ROS 2 comes as wheels for x86-64 only; on $(uname -m) source its ROS installation and" \
        "install requirements/robot-py310.txt or robot-py312.txt"
lock=requirements/py$(echo "$minor" | tr -d .).txt
[ -f "$lock" ] ||
    fail "$PYTHON is Python $minor; 3.11, 3.12 and 3.13 are supported, for example: make venv PYTHON=python3.12"

hash_of() { { "$@"; } | sha256sum | cut -d ' ' -f 1; }
packages_key=$(hash_of sh -c "cat $lock requirements/torch.txt; echo $minor; realpath -m '$VENV'")
project_files="setup.py setup.cfg pyproject.toml requirements/venv.sh vdd_ros/native/*"
project_key=$(hash_of sh -c "cat $project_files; ls launch")
done_before() { [ -x "$VENV/bin/python" ] && [ "$(cat "$VENV/$1.stamp" 2>/dev/null)" = "$2" ]; }

# missing NEED: those of system-packages.txt that are `needed` or `optional` and not there
missing() {
    grep -v '^#' requirements/system-packages.txt | while IFS='|' read -r name check _ need; do
        [ "$(echo $need)" = "$1" ] || continue
        sh -c "$check" >/dev/null 2>&1 </dev/null || echo "$name" | sed "s/{python}/python$minor/"
    done | tr -s ' \n' ' '
}

can_install() { command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; }

# shellcheck disable=SC2086 # a list of names
apt_install() {
    echo "vdd_ros: installing system packages: $*"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $*
}

install_system_packages() {
    needed=$(missing needed) optional=$(missing optional)
    [ -n "$needed$optional" ] || return 0
    if can_install; then
        apt-get update -q
        [ -z "$needed" ] || apt_install "$needed"
        [ -z "$optional" ] || apt_install "$optional" || echo "vdd_ros: goes on without $optional"
        return 0
    fi
    [ -z "$optional" ] || echo "vdd_ros: tests that need it are left out: $optional"
    [ -n "$needed" ] || return 0
    command -v apt-get >/dev/null || fail "these system packages are missing: $needed"
    fail "system packages are missing; run: sudo apt-get update && sudo apt-get install -y $needed"
}

# What `pip install -e` leaves out and ROS looks for: the marker, the data and lib/vdd_ros.
link_for_ros() {
    prefix=$(realpath "$VENV") index=share/ament_index/resource_index/packages
    share=$prefix/share/vdd_ros
    rm -rf "$share"
    mkdir -p "$prefix/$index" "$share/launch" "$prefix/lib/vdd_ros"
    ln -sfn "$PWD/resource/vdd_ros" "$prefix/$index/vdd_ros"
    ln -sfn "$PWD/config" "$PWD/package.xml" "$share"
    ln -sfn "$PWD"/launch/* "$share/launch" # each file: ros2 launch looks into no linked folder
    sed -n 's/^ *"\(.*\) = vdd_ros\..*/\1/p' setup.py | while read -r program; do
        ln -sfn "$prefix/bin/$program" "$prefix/lib/vdd_ros/$program"
    done
}

step() { echo "vdd_ros: [$1/5] $2"; }
pip() { "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input "$@"; }

if ! done_before packages "$packages_key"; then
    started=$(date +%s)
    step 1 "system packages"
    install_system_packages
    step 2 "a fresh environment in $VENV from $("$PYTHON" --version)"
    # The environment's own interpreter, found first while it is active, cannot clear itself.
    base=$("$PYTHON" -c 'import sys; print(sys._base_executable)')
    "$base" -m venv --clear "$VENV"
    step 3 "$(wc -l <"$lock") pinned packages from $lock"
    # The one source package is built with the pinned setuptools instead of whatever is newest.
    grep -E '^(setuptools|wheel)==' "$lock" >"$VENV/build.txt"
    pip --quiet --no-deps -r "$VENV/build.txt"
    pip --no-deps --no-build-isolation -r "$lock"
    step 4 "$(cat requirements/torch.txt) and what its build needs"
    pip -r requirements/torch.txt -c "$lock"
    echo "$packages_key" >"$VENV/packages.stamp"
    echo "vdd_ros: packages installed in $(($(date +%s) - started)) s"
fi
if ! done_before project "$packages_key $project_key"; then
    step 5 "this package, as links to this folder"
    pip --quiet --no-deps --no-build-isolation -e .
    link_for_ros
    echo "$packages_key $project_key" >"$VENV/project.stamp"
fi
