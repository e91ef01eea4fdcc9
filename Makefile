# Everything a person does with this repository. `make` lists it.
# Python comes from .venv, which `make setup` makes; PYTHON=... chooses the interpreter it is made from.

.DEFAULT_GOAL := help
VENV := .venv/bin

.PHONY: help setup test unit check docs format demo demo-replay chaos chaos-mutants bench bench-quick up up-distributed test-distributed screenshots doctor operations down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install everything, pinned, into .venv and node_modules (quick when nothing changed)
	@bash scripts/setup.sh

test: setup ## Run every test
	@$(VENV)/python -m scripts.test

unit: setup ## Run the unit tests only
	@$(VENV)/python -m scripts.test unit

check: setup ## Lint, types, import rules, and whether what is generated is up to date
	@$(VENV)/python -m scripts.check

docs: setup ## Write the pages of docs/ that are made from code
	@$(VENV)/python -m scripts.docs

format: setup ## Format the code, and fix what ruff can fix
	@$(VENV)/ruff check --fix --quiet . ; $(VENV)/ruff format .

demo: setup ## Run one whole cycle against the local world
	@$(VENV)/python -m scripts.demo

demo-replay: setup ## Decide three days again under two other settings, by backfills; nothing is moved
	@$(VENV)/python -m scripts.demo_replay

chaos: setup ## Kill it at every boundary, let two push at once, lie to it, break Airflow (half an hour)
	@$(VENV)/python -m scripts.chaos

chaos-mutants: setup ## Break the code on purpose, and see that the chaos tests notice
	@$(VENV)/python -m scripts.chaos mutants

bench: setup ## Measure what it costs, beside what one would pick instead (20 minutes; SUBJECT=check for one)
	@$(VENV)/python -m benchmarks $(SUBJECT)

bench-quick: setup ## The short forms, in less than two minutes; fails where a guarded figure is broken
	@$(VENV)/python -m benchmarks --quick $(SUBJECT)

up: setup ## Start the local world and Airflow, and keep them running
	@$(VENV)/python -m scripts.up

up-distributed: setup ## The same as on several machines, until Ctrl-C: PostgreSQL, Redis, workers (ARGS="--workers 4")
	@$(VENV)/python -m scripts.up_distributed $(ARGS)

test-distributed: setup ## Kill workers, schedulers and triggerers at work (SIZE=small; SIZE=large takes an hour)
	@$(VENV)/python -m scripts.distributed_test --size $(or $(SIZE),small) $(ARGS)

screenshots: setup ## Take the pictures of docs/images anew
	@$(VENV)/python -m scripts.screenshots

doctor: setup ## Check, read only, what the first operation needs (ARGS=--local: in what `make up` started)
	@$(VENV)/python -m scripts.doctor $(ARGS)

operations: setup ## Show the open operations, or decide about one (ARGS="--help"; ARGS="--local list")
	@$(VENV)/python -m scripts.operations $(ARGS)

down: ## Stop what `make up` and `make up-distributed` started
	@if [ -x $(VENV)/python ]; then $(VENV)/python -m scripts.down; else echo "Nothing is set up here."; fi

clean: down ## Remove everything that was installed or made here
	rm -rf .venv node_modules .run .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
