# Every target makes its own set-up: a machine needs git, make and Python 3.11 or newer with pip.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .venv/.ready
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= auto
CRASHES ?= 1000
SOAK_S ?= 3600

.PHONY: help setup demo test check fmt bench crash soak docs lock ci clean

help: ## what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 15

setup: $(READY) ## a virtual environment in .venv with the locked versions of everything

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'hotfire needs Python 3.11 or newer on PATH, with pip.' >&2; exit 2; }
	@echo "Setting up .venv with $$($(PYTHON) --version) (once; about a minute)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null && bare= || bare=--without-pip; $(PYTHON) -m venv $$bare .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 && pip="$(BIN)/python -m pip" \
		|| pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	$$pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
	$$pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: $(READY) ## a guided first look: a workspace is made, filled, balanced and queried
	@$(BIN)/hotfire demo

test: $(READY) ## all tests, then all checks
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal
	@$(MAKE) --no-print-directory check

check: $(READY) ## lint, format, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(READY) ## mend what can be mended by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## the benchmark cases, as ratios against baselines of the same run
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/live.py

crash: $(READY) ## kill -9 at random instants, CRASHES times
	HOTFIRE_CRASHES=$(CRASHES) $(BIN)/pytest -n $(WORKERS) --dist worksteal -m crash --timeout=7200

soak: $(READY) ## an hour of 1,000 rows a second: memory and files stay bounded
	HOTFIRE_SOAK_S=$(SOAK_S) $(BIN)/pytest -s -m soak --timeout=7200

docs: $(READY) ## what is generated of the pages in docs
	$(BIN)/python docs/generate.py

lock: $(READY) ## requirements.lock, brought up to what pyproject.toml asks for
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --group dev --python-version 3.11 \
		--no-annotate --custom-compile-command 'make lock' -o requirements.lock pyproject.toml

ci: ## what the continuous integration runs
	@.ci/run

clean: ## everything that can be made again
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
