# `make help` lists the targets. Everything runs in .venv, which is made when first needed.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-fast test-long test-slurm crash check format
.PHONY: tables figures report smoke defaults problems replicate first-run bench bench-optim bench-train docs
.PHONY: clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than the files it depends on, so a second call installs nothing. uv is used if
# it is installed (it shares files between environments), else pip. Bytecode is compiled here, once,
# and not again by each process that cannot write it.
$(VENV)/.installed: pyproject.toml constraints.txt gofau/__init__.py
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

install: $(VENV)/.installed  ## make .venv and install gofau with all optional packages

train: $(VENV)/.installed  ## train one network: make train ARGS="optimizer=adam rule=multiplicative"
	$(PY) train.py $(ARGS)

# pytest keeps the tests as it has rewritten them, also where Python is told to write no bytecode: it
# saves each process about 6 s.
test test-fast test-long: export PYTHONDONTWRITEBYTECODE =

# The order is random, and the same each time; another one is ARGS=--randomly-seed=2.
test: $(VENV)/.installed  ## the tests: offline, on a CPU, about 5 minutes on 2 cores
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --randomly-seed=1 $(ARGS)

test-fast: $(VENV)/.installed  ## all tests except the slow ones
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --randomly-seed=1 -m "not slow and not long and not crash and not slurm" $(ARGS)

test-long: $(VENV)/.installed  ## the long tests: every guide of docs/ word for word, killed sweeps; 5 minutes
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto -p no:randomly -m long $(ARGS)

test-slurm: $(VENV)/.installed  ## tests of sweeps in a real Slurm, started for them: needs root
	$(PY) -m pytest -v --durations=0 -p no:randomly -m slurm tests/slurm $(ARGS)

crash: $(VENV)/.installed  ## kill a sweep 120 times, damage its checkpoints, compare results: about 10 minutes
	$(PY) -m pytest -p no:randomly -m crash -s tests/session/test_survival.py

check: $(VENV)/.installed  ## check the code with ruff, ruff format and pyright
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

format: $(VENV)/.installed  ## format the code with ruff
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

tables: $(VENV)/.installed  ## write the tables and claims again, from the records in results/
	$(PY) -m gofau.report tables
	$(PY) -m scripts.write_readme

figures: $(VENV)/.installed  ## draw the figures again, from the records in results/
	$(PY) -m gofau.report figures
	$(PY) -m gofau.report.toy
	$(PY) -m gofau.report.measure

report: $(VENV)/.installed  ## write tables, figures, claims, the page results/report.html, parts of README
	$(PY) -m gofau.report report
	$(PY) -m scripts.write_readme  # after the claims, which it reads

# Finished runs are not run again: to retry, type the command again.
SMOKE ?= $(addprefix smoke_,fig3_cifar100_curves fig4_tiny_imagenet_curves tab2_cifar10_init \
	tab3_cifar10_lr tab4_cifar100 tab5_tiny_imagenet tab6_acceleration is_it_just_lr autoencoder madam \
	layerwise)
MEASURED ?= descent weight_distribution
smoke: $(VENV)/.installed  ## run the small twin of every experiment, and make its tables: make smoke SMOKE="..."
	@set -e; for name in fig1_toy_paths fig2_toy_starts tab1_toy toy_tuned toy_random; do \
		$(PY) train.py experiment=smoke_$$name; \
	done
	@set -e; for name in $(MEASURED); do $(PY) -m gofau.measure experiment=$$name; done
	@set -e; for name in $(SMOKE); do \
		$(PY) train.py -m experiment=$$name trainer.progress=none $(ARGS); \
		$(PY) -m gofau.report collect $$name $(ARGS); \
	done
	$(PY) -m gofau.report.toy
	$(PY) -m gofau.report.measure
	$(PY) -m gofau.report tables $(SMOKE)
	$(PY) -m gofau.report figures $(SMOKE)
	$(PY) -m scripts.write_readme

defaults: $(VENV)/.installed  ## search the rules' default hyperparameters again: results/defaults
	$(PY) scripts/choose_defaults.py $(ARGS)
	$(PY) -m gofau.report tables defaults

problems: $(VENV)/.installed  ## search and fresh seeds on a problem: make problems ARGS="digits_cnn cora_gcn"
	$(PY) scripts/problems.py $(ARGS)
	$(PY) -m gofau.report tables problems_search problems

replicate: $(VENV)/.installed  ## one verdict of results/problems again, with fresh seeds: make replicate ARGS="--lot 1"
	$(PY) scripts/replicate.py $(ARGS)
	$(PY) -m gofau.report tables replication

first-run: $(VENV)/.installed  ## 40 seeds of the default run for each optimizer and rule: results/first_run
	$(PY) scripts/first_run.py $(ARGS)
	$(PY) -m gofau.report tables first_run

bench: bench-optim bench-train  ## run all benchmarks, on a quiet machine: results/bench_*

bench-optim: $(VENV)/.installed  ## cost of an optimizer step, gofau's and torch's
	$(PY) scripts/bench_optim.py $(ARGS)

bench-train: $(VENV)/.installed  ## cost of training: ARGS="--only images,sweep", ARGS=--quick
	$(PY) scripts/bench_train.py $(ARGS)

# -E reads every page again: what is generated follows records and docstrings, not a page's date.
docs: $(VENV)/.installed  ## build the site, docs/_build/html/index.html: offline, warnings are errors
	OMP_NUM_THREADS=1 $(PY) -m sphinx -E -W --keep-going -q -b html -c docs -d docs/_build/doctrees . docs/_build/html
	@echo docs/_build/html/index.html

clean:  ## remove .venv and caches, but not runs, data and results
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist docs/_build
