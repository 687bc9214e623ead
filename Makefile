# Every target sets up what it needs: nothing but Linux, Python 3.11 and, once, Go is expected.
SHELL := /bin/bash
PY := .venv/bin/python
PYTEST := $(PY) -m pytest
SEEDS := 13800
RELEASES := 1000

.DEFAULT_GOAL := help
.PHONY: help install binaries lock lint types unit simulate scenes e2e soak test demo bench clean

help: ## Show the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.installed: requirements-dev.lock pyproject.toml
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

install: .venv/.installed ## Put the programs into .venv/bin

binaries: install ## Find or build the cluster's programs (minutes the first time)
	$(PY) -m lab binaries

lock: install ## Pin the dependencies again
	.venv/bin/uv pip compile --quiet pyproject.toml --generate-hashes --no-header -o requirements.lock
	.venv/bin/uv pip compile --quiet pyproject.toml --group dev --generate-hashes --no-header \
		-c requirements.lock -o requirements-dev.lock

lint: install ## Style, complexity, direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

types: install ## mypy, strict
	.venv/bin/mypy

unit: binaries ## The fast tests: pure parts, server, client
	$(PYTEST) -n 2 -m "not e2e" --ignore tests/simulation

simulate: install ## About 20000 releases on a modelled cluster; SEEDS=2000 for fewer
	SLIPWAY_SEEDS=$(SEEDS) $(PYTEST) -n 2 tests/simulation

scenes: binaries ## The tests on a real cluster, with short waits
	$(PYTEST) -n 2 --dist loadscope --durations=25 -m e2e

e2e: binaries ## The same at production defaults: mostly waits, so more at a time
	SLIPWAY_E2E_PACE=production $(PYTEST) -n 4 --dist loadscope tests/e2e

soak: binaries ## Releases at every route at once under load; RELEASES=1000
	$(PY) -m tests.soak --releases $(RELEASES)

test: lint types unit simulate scenes ## Everything that has to pass

demo: binaries ## Two releases on a real cluster, live
	$(PY) -m lab.demo

bench: binaries ## Measure; writes build/bench.json
	$(PY) -m bench

clean: ## Remove what was made here
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
