# `make help` lists what there is. Everything runs in .venv, which the first call makes.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-fast test-slurm check format figures bench bench-optim bench-train clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is younger than what it was made from, so a second call installs nothing. uv is used
# where it is there (it shares files between environments), pip where not.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: gofau needs Python 3.11 or newer; try make PYTHON=python3.12" >&2; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
		{ [ -x $(PY) ] || uv venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); } && \
		uv pip install --quiet --python $(PY) -e ".[dev]" -c constraints.txt; \
	else \
		{ [ -x $(PY) ] || $(PYTHON) -m venv $(VENV); } && \
		$(PY) -m pip install --quiet --disable-pip-version-check -e ".[dev]" -c constraints.txt; \
	fi
	@touch $@

install: $(VENV)/.installed  ## make .venv and install gofau with everything it can use

train: $(VENV)/.installed  ## train one network: make train ARGS="optimizer=adam rule=multiplicative"
	$(PY) train.py $(ARGS)

test: $(VENV)/.installed  ## all tests: offline, on a CPU, under 5 minutes on 2 cores
	$(PY) -m pytest -m "not slurm" $(ARGS)

test-fast: $(VENV)/.installed  ## the tests without the slow ones
	$(PY) -m pytest -m "not slow and not slurm" $(ARGS)

test-slurm: $(VENV)/.installed  ## sweeps through a real Slurm, brought up for it: needs root
	$(PY) -m pytest -m slurm tests/slurm $(ARGS)

check: $(VENV)/.installed  ## ruff, ruff format and pyright
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

format: $(VENV)/.installed  ## let ruff put the code in order
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

figures: $(VENV)/.installed  ## draw the figures again from what is in results/
	$(PY) -m gofau.report figures

bench: bench-optim bench-train  ## measure everything, on a quiet machine: results/bench_*

bench-optim: $(VENV)/.installed  ## what a step of the optimizers costs beside torch's
	$(PY) scripts/bench_optim.py $(ARGS)

bench-train: $(VENV)/.installed  ## what training costs: ARGS="--only images,sweep", ARGS=--quick
	$(PY) scripts/bench_train.py $(ARGS)

clean:  ## remove .venv and caches; runs, data and results stay
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist
