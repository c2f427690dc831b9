# make demo | test | test-fast | lint | docs | reference | venv | lock | clean
# PYTHON=python3.12 chooses an interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PYTHON VENV

# Tests and demo run on this machine alone, without a display, with the environment's own ROS.
RUN := env -u PYTHONPATH -u LD_LIBRARY_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE \
	MUJOCO_GL=disable AMENT_PREFIX_PATH=$(abspath $(VENV)) OMP_NUM_THREADS=1 \
	ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST

.PHONY: demo test test-fast lint docs reference venv lock clean

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

# The site needs nothing of the project's environment, and has a small one of its own.
docs: .venv-docs/docs.txt
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "out/site/index.html opens without a server; for its search: python3 -m http.server -d out/site"

.venv-docs/docs.txt: requirements/docs.txt
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	cp $< $@

# Pages of docs/reference/ that are made of the code.
reference: venv
	$(RUN) $(BIN)/python docs/reference/make.py

venv:
	@requirements/venv.sh

lock:
	requirements/lock.sh

clean:
	rm -rf $(VENV) .venv-docs out build install log dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	rm -f vdd_ros/*.so
