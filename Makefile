# Each target does its own set-up. Needs Python 3.11 or newer: `make PYTHON=python3.13 test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONSAFEPATH := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check cover bench wheel clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## watch the main job happen, offline
	$(BIN)/antiphon demo

test: $(VENV)/.dev ## run every test
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

cover: $(VENV)/.dev ## run every test and report coverage
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --skip-covered

bench: $(VENV)/.dev ## measure against baselines (slow)
	PYTHONSAFEPATH= $(BIN)/python benchmarks/loop.py
	PYTHONSAFEPATH= $(BIN)/python benchmarks/relay.py
	PYTHONSAFEPATH= $(BIN)/python benchmarks/sandbox.py
	PYTHONSAFEPATH= $(BIN)/python benchmarks/store.py
	PYTHONSAFEPATH= $(BIN)/python benchmarks/serving.py

wheel: $(VENV)/.dev ## build the wheel, and use it as a stranger would
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist
	$(BIN)/python tests/wheel.py dist

clean: ## remove everything that make made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "antiphon needs Python 3.11 or newer; try: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[fast,server,search]'
	@touch $@

# The second client is an older major version, kept apart so that both can talk to one provider.
$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	$(BIN)/python -m pip install --quiet --target $(VENV)/openai-1 --upgrade 'openai>=1.99,<2'
	@touch $@
