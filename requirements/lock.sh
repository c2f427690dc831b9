#!/bin/sh
# Writes the pinned files from requirements.in, docs.in and robot.in (`make lock`; needs `pip install uv`).
#
# overrides.txt wins over what packages ask for, excluded.txt is left out. Every pin must have a
# wheel (empy, pure Python, is the one source package). The robot's locks must come out the same
# for x86-64 and aarch64.
set -eu
cd "$(dirname "$0")"
UV=${UV:-uv}

pin() { # pin INPUT PYTHON MACHINE OUTPUT [OPTION...]
    input=$1 python=$2 machine=$3 output=$4
    shift 4
    "$UV" pip compile "$input" --quiet --no-config --no-header --no-annotate --upgrade \
        --python-version "$python" --python-platform "$machine-manylinux_2_28" \
        --only-binary :all: --output-file "$output" "$@"
    case $output in /*) ;; *) echo "$output: $(wc -l <"$output") packages" ;; esac
}

for python in 3.11 3.12 3.13; do
    pin requirements.in $python x86_64 "py$(echo $python | tr -d .).txt" --no-binary empy \
        --overrides overrides.txt --excludes excluded.txt
done

pin docs.in 3.11 x86_64 docs.txt

other=$(mktemp) cuda=$(mktemp)
trap 'rm -f "$other" "$cuda"' EXIT
same() { # same INPUT PYTHON OUTPUT [OPTION...]
    input=$1 python=$2 output=$3
    shift 3
    pin "$input" "$python" x86_64 "$output" "$@"
    pin "$input" "$python" aarch64 "$other" "$@"
    diff "$output" "$other" || { echo "$output differs between machines" >&2; exit 1; }
}
# JetPack 6 has CUDA 12.6 and Python 3.10, JetPack 7 has CUDA 13.0 or newer and Python 3.12
for python in 3.10 3.12; do
    minor=$(echo $python | tr -d .)
    same robot.in $python "robot-py$minor.txt"
    case $python in 3.10) echo 'cuda-bindings>=12.8,<13' ;; *) echo 'cuda-bindings>=13.0,<13.1' ;; esac >"$cuda"
    same jetson.in $python "robot-jetson-py$minor.txt" --constraints "$cuda"
done
