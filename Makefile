# make demo | test | test-fast | lint | venv | lock | clean        (PYTHON=python3.12 to choose one)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PYTHON VENV

# Tests and demo run on this machine alone, without a display, with the environment's own ROS.
RUN := env -u PYTHONPATH -u LD_LIBRARY_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE \
	MUJOCO_GL=disable AMENT_PREFIX_PATH=$(abspath $(VENV)) OMP_NUM_THREADS=1 \
	ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST

.PHONY: demo test test-fast lint venv lock clean

demo: venv
	$(RUN) $(BIN)/vdd demo

test: lint
	$(RUN) $(BIN)/python -m pytest -q test

test-fast: lint
	$(RUN) $(BIN)/python -m pytest -q -m "not slow" test

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

venv:
	@requirements/venv.sh

lock:
	requirements/lock.sh

clean:
	rm -rf $(VENV) out build install log dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	rm -f vdd_ros/*.so
