# Woodblock: `make` installs the pinned packages into .venv and runs the pipeline, from download to report, as params.yaml says.
# `make help` lists the other targets. Works with GNU make 3.81 (macOS) and newer.

# PYTHON is used only to make .venv; any version from 3.11 on will do. CORES is for Snakemake. The threads of the libraries are
# `threads` in params.yaml.
PYTHON ?= python3
CORES ?= all
NAME ?= statutes

BIN := .venv/bin
# Tests run with nobody's rights over files but their user's, also as root.
PYTEST := tests/support/as_ordinary_user.sh $(BIN)/python -m pytest
export PATH := $(CURDIR)/$(BIN):$(PATH)
LOCKS := $(wildcard requirements/*.txt)

.PHONY: all help test lint slow full gpu training engines preset adopt watch metrics verify graph lock format clean abandoned purge

all: .venv/installed
	$(BIN)/snakemake --cores $(CORES)

help:
	@echo 'make                  set up .venv, run the pipeline as params.yaml says'
	@echo 'make test             set up .venv, run the fast tests'
	@echo 'make slow             set up .venv, run the slow tests: killed training, both engines, planted faults'
	@echo 'make full             set up .venv, run every test that this machine can, and print the slowest'
	@echo 'make gpu              set up .venv, run the tests that need a CUDA device'
	@echo 'make training         a part of the slow tests: is training the same if it is killed ten times, or shared by two processes?'
	@echo 'make engines          a part of the slow tests: does the tiny preset give the same bytes with both engines, in two clean clones?'
	@echo 'make preset NAME=...  write a preset of presets/ into params.yaml'
	@echo 'make adopt            give DVC what Snakemake made; refuse what does not match its lineage'
	@echo 'make watch            show how pretraining goes: a row of figures every ten steps, until Ctrl-C'
	@echo 'make metrics          show every number of this run beside the default run'
	@echo 'make verify           compare a finished run with reference/statutes.json'
	@echo 'make graph            write the code deps of each stage into dvc.yaml, from the imports'
	@echo 'make lint             check format, names, types, the layers of the library, and the rules of Snakemake'
	@echo 'make lock             resolve requirements/packages.in again, and write the lock files'
	@echo 'make format           format the code'
	@echo 'make clean            remove logs, and the caches of tests and linters; keep outputs, downloads, checkpoints and .venv'
	@echo 'make abandoned        list with sizes what killed runs, and runs with other params, left unfinished'
	@echo 'make purge            list it and remove it; keep what a process uses and what the next run goes on with'

# This file marks a finished installation. If a lock file is newer, pip installs again. The log keeps all that pip says; its
# progress is printed here.
# venv_first.pth puts the commands of .venv before others for all that is started from it. So `.venv/bin/dvc repro` finds the
# right python for the stages, also in a shell where .venv is not activated.
.venv/installed: requirements.txt $(LOCKS) requirements/venv_first.pth
	@$(PYTHON) -c 'import sys; sys.exit("error: Python %d.%d is too old, 3.11 or newer is needed: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Installing the pinned packages into .venv: a few minutes the first time'
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements.txt > .venv/install.log 2>&1 & \
	pid=$$!; seconds=0; \
	while kill -0 $$pid 2>/dev/null; do \
	    sleep 1; seconds=$$((seconds + 1)); \
	    if [ $$((seconds % 15)) -eq 0 ]; then \
	        echo "  $$seconds s: $$(grep -c '^Collecting' .venv/install.log) packages looked up; $$(tail -n 1 .venv/install.log | cut -c 1-80)"; \
	    fi; \
	done; \
	wait $$pid || { grep -i '^error' .venv/install.log || tail -n 3 .venv/install.log; echo 'error: pip failed; all that it said is in .venv/install.log' >&2; exit 1; }
	@cp requirements/venv_first.pth "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

test: .venv/installed
	$(PYTEST) -q

slow: .venv/installed
	$(PYTEST) -v -m 'slow and not gpu'

full: .venv/installed
	$(PYTEST) -v -m 'not gpu' --durations=40

gpu: .venv/installed
	$(PYTEST) -v -m gpu

training: .venv/installed
	$(PYTEST) -v -m slow tests/system/test_resume.py tests/training/test_distributed.py

engines: .venv/installed
	$(PYTEST) -v -m slow tests/system/test_engines.py

preset: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.presets $(NAME)

adopt: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.adopt

watch: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.training.watch --follow

metrics: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.comparison

verify: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.verify

graph: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.write_graph

lint: .venv/installed
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/mypy

lock: .venv/installed
	$(BIN)/python requirements/lock.py

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

clean:
	rm -rf logs .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

abandoned: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.purge --list

purge: .venv/installed
	@PYTHONPATH=src $(BIN)/python -m woodblock.run.purge
