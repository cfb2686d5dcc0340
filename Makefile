# drkit: what a developer or a new user types. `make` alone lists the targets.

PYTHON_ENV := .venv/bin
LOCK_ENV   := build/lock-venv
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo drill test fast lab disasters drills lint format bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## install what is missing; leaves the command at .venv/bin/drkit
	@tools/setup
	@$(PYTHON_ENV)/python -m compileall -q drkit

demo: setup ## a database is backed up, lost and restored; a whole cluster in containers is backed up, lost and brought back
	@$(PYTHON_ENV)/python -m demo shop
	@if tools/engine; then \
		$(PYTHON_ENV)/python -m demo cluster; \
	else \
		echo 'NOT SHOWN: the demonstration with a whole cluster, for what is said above' >&2; \
	fi

drill: setup ## the lab's PostgreSQL primary is killed, and the drill says how long users would have noticed
	@tools/engine
	@$(PYTHON_ENV)/python -m demo drill

# Most tests of the lab wait for nodes to boot or to be missed: side by side they take as long as the longest.
PYTEST := $(PYTHON_ENV)/python -m pytest --numprocesses=3 --dist=loadgroup

test: setup ## run all tests but disasters and drills (PYTEST_ARGS="-k name" to choose); the first time they build Kubernetes, about ten minutes
	@if tools/engine; then \
		$(PYTEST) -m 'not disaster and not drill' $(PYTEST_ARGS); \
	else \
		echo 'NOT TESTED: the container lab, for what is said above' >&2; \
		$(PYTEST) -m 'not lab' $(PYTEST_ARGS); \
	fi

fast: setup ## run only the tests that need no Docker
	@$(PYTEST) -m 'not lab' $(PYTEST_ARGS)

lab: setup ## run only the tests that need Docker
	@tools/engine
	@$(PYTEST) -m 'lab and not disaster and not drill' $(PYTEST_ARGS)

disasters: setup ## lose whole clusters and bring them back, in every way and killed on the way: half an hour
	@tools/engine
	@$(PYTEST) -m disaster $(PYTEST_ARGS)

drills: setup ## run every shipped chaos scenario on the sample workload in the lab: an hour
	@tools/engine
	@$(PYTEST) -m drill $(PYTEST_ARGS)

lint: setup ## ruff, formatting and mypy
	@$(PYTHON_ENV)/ruff check .
	@$(PYTHON_ENV)/ruff format --check .
	@$(PYTHON_ENV)/mypy

format: setup ## fix formatting and what ruff can fix safely
	@$(PYTHON_ENV)/ruff check --fix .
	@$(PYTHON_ENV)/ruff format .

bench: setup ## measure side by side; results are kept in bench/results/
	@$(PYTHON_ENV)/python -m bench

# One resolution for every supported Python and platform, with hashes and without addresses.
COMPILE = $(LOCK_ENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	--generate-hashes --no-emit-index-url --no-header

lock: ## resolve the dependencies again and rewrite the lock files
	@python3 -m venv $(LOCK_ENV)
	@$(LOCK_ENV)/bin/python -m pip install --quiet uv
	@$(COMPILE) --extra notify --output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra dev --output-file requirements-dev.lock pyproject.toml
	@$(COMPILE) --group image-build --output-file requirements-build.lock

clean: ## remove the virtual environment, caches and build output
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
