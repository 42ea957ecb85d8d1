# `make help` lists what there is. Everything runs in .venv, which the first call makes.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-fast test-guides test-slurm crash check format
.PHONY: tables figures report smoke defaults first-run bench bench-optim bench-train clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is younger than what it was made from, so a second call installs nothing. uv is used
# where it is there (it shares files between environments), pip where not; either way bytecode is
# compiled here, once, and not by each process that cannot keep it.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: gofau needs Python 3.11 or newer; try make PYTHON=python3.12" >&2; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
		{ [ -x $(PY) ] || uv venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); } && \
		uv pip install --quiet --compile-bytecode --python $(PY) -e ".[dev]" -c constraints.txt; \
	else \
		{ [ -x $(PY) ] || $(PYTHON) -m venv $(VENV); } && \
		$(PY) -m pip install --quiet --disable-pip-version-check -e ".[dev]" -c constraints.txt; \
	fi
	@touch $@

install: $(VENV)/.installed  ## make .venv and install gofau with everything it can use

train: $(VENV)/.installed  ## train one network: make train ARGS="optimizer=adam rule=multiplicative"
	$(PY) train.py $(ARGS)

test: $(VENV)/.installed  ## all tests: offline, on a CPU, under 5 minutes on 2 cores
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto $(ARGS)

test-fast: $(VENV)/.installed  ## the tests without the slow ones
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto -m "not slow and not guide and not crash and not slurm" $(ARGS)

test-guides: $(VENV)/.installed  ## follow the guides of docs/ word for word, each in a copy: 3 minutes
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto -m guide tests/docs $(ARGS)

test-slurm: $(VENV)/.installed  ## sweeps through a real Slurm, brought up for it: needs root
	$(PY) -m pytest -v --durations=0 -m slurm tests/slurm $(ARGS)

crash: $(VENV)/.installed  ## kill a sweep 120 times, tear its checkpoints, compare: some 10 minutes
	$(PY) -m pytest -m crash -s tests/session/test_survival.py

check: $(VENV)/.installed  ## ruff, ruff format and pyright
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

format: $(VENV)/.installed  ## let ruff put the code in order
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

tables: $(VENV)/.installed  ## write the tables and claims again from what is in results/
	$(PY) -m gofau.report tables

figures: $(VENV)/.installed  ## draw the figures again from what is in results/
	$(PY) -m gofau.report figures
	$(PY) -m gofau.report.toy

report: $(VENV)/.installed  ## tables, figures, claims and the page results/report.html
	$(PY) -m gofau.report report
	$(PY) -m gofau.report.toy

# Runs that are done are not run again, so typing it again is the retry.
SMOKE ?= $(addprefix smoke_,fig3_cifar100_curves fig4_tiny_imagenet_curves tab2_cifar10_init \
	tab3_cifar10_lr tab4_cifar100 tab5_tiny_imagenet tab6_acceleration is_it_just_lr autoencoder)
smoke: $(VENV)/.installed  ## run the small twin of every experiment, and report: make smoke SMOKE="..."
	@set -e; for name in fig1_toy_paths fig2_toy_starts tab1_toy toy_tuned toy_random; do \
		$(PY) train.py experiment=smoke_$$name; \
	done
	@set -e; for name in $(SMOKE); do \
		$(PY) train.py -m experiment=$$name trainer.progress=none $(ARGS); \
		$(PY) -m gofau.report collect $$name $(ARGS); \
	done
	$(PY) -m gofau.report report
	$(PY) -m gofau.report.toy

defaults: $(VENV)/.installed  ## choose the rules' default hyperparameters anew: results/defaults
	$(PY) scripts/choose_defaults.py $(ARGS)
	$(PY) -m gofau.report tables defaults

first-run: $(VENV)/.installed  ## 40 seeds of `make train` for each optimizer and rule: results/first_run
	$(PY) scripts/first_run.py $(ARGS)
	$(PY) -m gofau.report tables first_run

bench: bench-optim bench-train  ## measure everything, on a quiet machine: results/bench_*

bench-optim: $(VENV)/.installed  ## what a step of the optimizers costs beside torch's
	$(PY) scripts/bench_optim.py $(ARGS)

bench-train: $(VENV)/.installed  ## what training costs: ARGS="--only images,sweep", ARGS=--quick
	$(PY) scripts/bench_train.py $(ARGS)

clean:  ## remove .venv and caches; runs, data and results stay
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist
