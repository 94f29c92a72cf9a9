# Every target first sets up .venv from requirements.lock with this package in it; it is made again
# only when the lock or pyproject.toml changes.
STUDY ?= demo
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
BIN := .venv/bin
# Keep bytecode, also where the environment says otherwise: each notebook imports in a process of
# its own, and compiles everything anew without it.
export PYTHONDONTWRITEBYTECODE :=
READY := .venv/.ready
STRIP := --keep-id \
	--extra-keys "metadata.papermill cell.metadata.papermill cell.metadata.execution"
SUITABLE := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := python3 python3.13 python3.12 python3.11 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(SUITABLE)' 2>/dev/null && echo $$p && break; done)
NO_PYTHON := expected Python 3.11, 3.12 or 3.13 on the PATH, found none; install one, or name it: \
	make PYTHON=<python>
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
# one thread for each process; the files of conftest.LONGEST first, so that all end together
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile \
	--no-loadscope-reorder
RESOLVE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-header --extra dev --extra spark --quiet

.PHONY: reports test test-all bench bench-scores bench-value bench-uplift bench-referee
.PHONY: bench-notebooks bench-loop bench-scoring lint format
.PHONY: picture lab lock clean help
reports: $(READY)  ## write the reports of STUDY (demo unless given; all for every study)
	$(BIN)/research run $(if $(filter all,$(STUDY)),,$(STUDY)) --jobs $(JOBS)

test: $(READY)  ## run the tests in minutes: every notebook once, on a small company
	$(PYTEST) -m "not slow"

test-all: $(READY)  ## run all tests: whole studies, statistics of large samples, the demo; an hour
	$(PYTEST)

bench-scores: $(READY)  ## compare scores with others' models; two hours, needs RESEARCH_MIRROR
	$(BIN)/python benchmarks/scores.py $(BENCH)

bench-value: $(READY)  ## measure time and memory to value 200,000 buyers, three times; six minutes
	$(BIN)/python benchmarks/value.py $(BENCH)

bench-uplift: $(READY)  ## compare effects with others' and the truth; hours, needs RESEARCH_MIRROR
	$(BIN)/python benchmarks/uplift.py $(BENCH)

bench-referee: $(READY)  ## simulate what tests and intervals promise; hours (BENCH="--seconds 240")
	$(BIN)/python benchmarks/referee.py $(BENCH)

bench-loop: $(READY)  ## simulate twelve cycles of a list that learns; 20 minutes (BENCH="--seeds 4")
	$(BIN)/python benchmarks/loop.py $(BENCH)

bench-scoring: $(READY)  ## measure scoring 100,000 customers with a list (BENCH="--customers 1000000")
	$(BIN)/python benchmarks/scoring.py $(BENCH)

bench-notebooks: $(READY)  ## measure the demo's notebooks (BENCH="--before HEAD~9")
	$(BIN)/python benchmarks/notebooks.py $(BENCH)

bench: $(READY)  ## measure speed and memory against alternatives on simulated data; about an hour
	$(BIN)/python benchmarks/bench.py $(BENCH)

lint: $(READY)  ## check code, notebooks and their outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify $(STRIP) notebooks/*.ipynb

format: $(READY)  ## format code and notebooks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout $(STRIP) notebooks/*.ipynb

picture: $(READY)  ## draw the packages of src/research from their imports, for docs/design.md
	$(BIN)/python docs/draw_packages.py

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

lab: $(READY)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

lock:  ## resolve requirements.lock again, for all three Pythons at once; needs uv
	$(RESOLVE) pyproject.toml -o requirements.lock

clean:  ## remove what was built: environment, caches, reports; raw data stay
	rm -rf .venv .snakemake .store .pytest_cache .ruff_cache build src/*.egg-info
	find reports -mindepth 1 ! -name plan.yml -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/:/'
