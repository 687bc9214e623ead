# Every target sets up what it needs; nothing but Python 3.11, Linux and (once) Go is expected.
SHELL := /bin/bash
PY := .venv/bin/python

.PHONY: help install lock lint types test demo bench clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/.installed: requirements.lock pyproject.toml
	python3 -m venv .venv
	.venv/bin/pip install --quiet uv==0.13.9
	.venv/bin/uv pip sync --quiet --require-hashes --python .venv/bin/python requirements.lock
	.venv/bin/pip install --quiet uv==0.13.9
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
	touch $@

install: .venv/.installed ## Put the programs into .venv/bin

lock: .venv/.installed ## Pin the dependencies again
	.venv/bin/uv pip compile --quiet pyproject.toml --group dev --generate-hashes --no-header -o requirements.lock

lint: .venv/.installed ## Style, import direction, complexity
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

types: .venv/.installed ## mypy, strict
	.venv/bin/mypy

clean: ## Remove what the build made
	rm -rf build dist .venv
