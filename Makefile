# Each target works alone from a fresh clone with make and a Python that pyproject.toml names; PYTHON chooses another one.
PYTHON ?=
BIN := .venv/bin
INSTALLED := .venv/installed
EXTRAS ?= dev,dashboards

.PHONY: help install study test lint benchmark bundled site tensorboard clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## the virtual environment .venv with everything pinned

# The marker is written last: an interrupted installation starts again and finds what pip has already fetched.
$(INSTALLED): pyproject.toml constraints.txt
	@# An environment without pip is one whose making was interrupted, or whose Python is gone.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { python=$$(sh deploy/find_python.sh "$(PYTHON)") && "$$python" -m venv --clear .venv; }
	@echo "installing into .venv with $$($(BIN)/python -c 'import sys; print("Python", sys.version.split()[0], "of", sys.base_prefix)') (2 to 6 GB, some minutes) ..."
	@# torch first and alone: a plain version pin may find a smaller CPU build.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $(INSTALLED)

study: $(INSTALLED)  ## the quick study on the bundled model and data, and its report
	@$(BIN)/fisher-study run quick

lint: $(INSTALLED)  ## style and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

test: lint  ## style, types and all tests
	@OMP_NUM_THREADS=1 $(BIN)/pytest --quiet --numprocesses auto --maxprocesses 4 --dist loadfile

benchmark: $(INSTALLED)  ## side-by-side timings, into benchmarks/results (on an idle machine)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[benchmark]"
	@for name in curvature rivals statistics training precision full_size regularizers sweep report trainer_search stability; do echo "== $$name"; OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.$$name || exit 1; done

bundled: $(INSTALLED)  ## the bundled data and model again: the data in place, the model into build/mini (5 minutes)
	@$(BIN)/python -m tools.bundled.data
	@OMP_NUM_THREADS=1 $(BIN)/python -m tools.bundled.model --out build/mini

site: $(INSTALLED)  ## the pages of docs/ as a site, in build/site
	@$(BIN)/zensical build --strict --clean

tensorboard: $(INSTALLED)  ## TensorBoard on the studies folder
	@$(BIN)/tensorboard --logdir studies

clean:  ## remove the environment and caches, keep studies
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build *.egg-info
