# Needs Python 3.11+ and make. Everything else is fetched into .uv/ and .venv/ at the versions of uv.lock.
#   make PYTHON=/path/to/python3.12 ...   to choose the interpreter
#   make UV=uv ...                        to use a uv that is already installed

SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHON UV EXTRAS

EXTRAS ?= dev spark aws cloud
VENV := .venv
BIN := $(VENV)/bin
LOCKED := uv.lock pyproject.toml scripts/bootstrap.sh hatch_build.py $(wildcard src/tapehouse/native/*.[ch])
JOBS ?= 2
PYTEST_ARGS ?=

.PHONY: help env demo test test-slow test-all coverage lint format types docs bench clean clean-env

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

# The stamps make repeated calls instant. The development environment contains the other, so it makes both.
$(VENV)/.ready-run: $(LOCKED)
	@scripts/bootstrap.sh run
	@touch $@

$(VENV)/.ready-dev: $(LOCKED)
	@scripts/bootstrap.sh dev
	@touch $(VENV)/.ready-run $@

env: $(VENV)/.ready-dev ## the environment with all development tools, in .venv

$(VENV)-spark35/.ready: $(LOCKED)
	@scripts/bootstrap.sh spark35
	@touch $@

demo: $(VENV)/.ready-run ## 200,000 generated trades with faults: contract to proven lake
	@scripts/demo.sh

test: $(VENV)/.ready-dev lint types ## lint, types and the fast tests
	$(BIN)/pytest -m "not slow and not coverage" -n $(JOBS) --dist loadgroup $(PYTEST_ARGS)

# No tests found is a failure here (pytest's exit code 5): a slow suite that vanished must not pass.
test-slow: $(VENV)/.ready-dev $(VENV)-spark35/.ready ## crash matrices, long differential runs, the older line of Spark
	$(BIN)/pytest -m slow -n $(JOBS) --dist loadgroup --timeout 1800 $(PYTEST_ARGS)
	$(VENV)-spark35/bin/pytest tests/spark -m "not slow or both_lines" --timeout 1800 $(PYTEST_ARGS)

test-all: test test-slow ## everything

# Runs tests of their own, with every line traced: apart, for nothing else should slow them.
coverage: $(VENV)/.ready-dev ## whether tests run every line of the cloud package
	$(BIN)/pytest -m coverage --timeout 1800 $(PYTEST_ARGS)

lint: $(VENV)/.ready-dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.ready-dev ## ruff: mend what can be mended, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.ready-dev ## mypy, strict
	$(BIN)/mypy

docs: $(VENV)/.ready-dev ## write the generated pages of docs/ again
	$(BIN)/python scripts/generate_docs.py

bench: $(VENV)/.ready-dev ## the benchmarks, with their peers (minutes; wants a quiet machine)
	$(BIN)/python benchmarks/run.py --rows 5000000 --rounds 3
	$(BIN)/python benchmarks/growth.py

clean: ## remove the demo, caches and build output (keeps .venv)
	rm -rf demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.uv/*' -prune -exec rm -rf {} +

clean-env: ## remove .venv, .venv-spark35 and .uv
	rm -rf $(VENV) $(VENV)-spark35 .uv
