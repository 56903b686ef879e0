# Needs git, Python 3.11 or newer, and make; everything else is installed into .venv from hash-locked requirements.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test kills drills-soak mutants check bench lock docs
.DELETE_ON_ERROR:

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/run.stamp ## Start everything and play the tour; ONCE=1 ends after it, REPO=path plays your repository
	@exec $(BIN)/prodsprints up --tour $(if $(ONCE),--once) $(if $(REPO),--repo "$(REPO)")

test: $(VENV)/dev.stamp check ## Check and test everything
	@$(BIN)/python scripts/peers.py
	@$(BIN)/python -m pytest -n 2 --dist worksteal

kills: $(VENV)/dev.stamp ## kill -9 of workers in each step of a release, three rounds: 24 tries
	@PRODSPRINTS_KILL_ROUNDS=3 $(BIN)/python -m pytest tests/end_to_end/test_kills.py -rP

drills-soak: $(VENV)/dev.stamp ## Every drill, ten rounds in a row, with the time that each took
	@PRODSPRINTS_SOAK_ROUNDS=10 $(BIN)/python -m pytest tests/drills/test_soak.py -rP

mutants: $(VENV)/dev.stamp ## Damage copies of every control, and see whether its drills notice; writes the reference
	@$(BIN)/prodsprints drill mutate --json > $(VENV)/mutants.jsonl; status=$$?; \
		$(BIN)/python scripts/mutation_reference.py $(VENV)/mutants.jsonl && exit $$status

check: $(VENV)/dev.stamp ## Format, lint, types, which room may import which, and that no call goes out unguarded
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/unguarded.py

bench: $(VENV)/dev.stamp ## Every benchmark beside its peers
	@$(BIN)/prodsprints bench --json

lock: $(VENV)/dev.stamp ## Resolve the newest versions anew, with the hash of every file
	@$(BIN)/python scripts/lock.py

docs: $(VENV)/dev.stamp ## Write the references from what they describe: commands, API, risk.yaml, providers
	@$(BIN)/python scripts/cli_reference.py
	@$(BIN)/python scripts/api_reference.py
	@$(BIN)/python scripts/risk_yaml_reference.py
	@$(BIN)/python scripts/degradation_reference.py
	@$(BIN)/python scripts/providers_reference.py

$(VENV)/pyvenv.cfg: scripts/preflight.py
	@$(PYTHON) scripts/preflight.py
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The stamps hold nothing but their time: older than a lock or pyproject.toml means install again.
$(VENV)/run.stamp: $(VENV)/pyvenv.cfg requirements/run.txt pyproject.toml
	@echo "Installing what runs, from requirements/run.txt (once) …"
	@$(PIP) install --require-hashes --requirement requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	@echo "Installing what tests, from requirements/dev.txt (once) …"
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@
