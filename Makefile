# Two commands: `make demo` and `make test`. Both do all their own set-up; the smaller targets below are what they call.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CLOUD  ?= azure
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
EMULATOR_VENV := .venv-emulator
BIN    := $(CURDIR)/$(VENV)/bin
EMULATOR_BIN := $(CURDIR)/$(EMULATOR_VENV)/bin
BUILD  := build
COLLECTION := ansible_collections/metaflow/infra
# Python 3.13 with the newest ansible-core, where the machine has it.
PYTHON_NEWEST := $(shell scripts/find-python 3.13)
NEWEST_VENV := .venv-newest
NEWEST_BIN := $(CURDIR)/$(NEWEST_VENV)/bin

export PATH := $(BIN):$(PATH)
# Tasks start a Python each: without cached bytecode that takes twice as long.
unexport PYTHONDONTWRITEBYTECODE
export ANSIBLE_FORCE_COLOR ?= 0
STEP = @printf '\n== %s\n'

.PHONY: help
help: ## What there is
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# --- the two commands ----------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Stand the whole stack up on the emulator, run a real flow through it (CLOUD=azure)
	$(STEP) "demo: $(CLOUD)"
	$(BIN)/python demo/run.py --cloud $(CLOUD) $(DEMO_ARGS)

.PHONY: test
test: check sanity test-newest test-emulator molecule test-flow ## Everything: lint, types, sanity, unit, emulator, molecule, a real flow

# --- set-up ------------------------------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.ready $(EMULATOR_VENV)/.ready programs ## Python environments, the Kubernetes programs, Azurite and PostgreSQL

$(VENV)/.ready: pyproject.toml requirements.txt
	$(STEP) "Python environment for the collection ($(VENV))"
	scripts/make-venv $(PYTHON) $(VENV) -r requirements.txt --group ansible --group test --group lint --group flow
	touch $@

$(EMULATOR_VENV)/.ready: emulator/pyproject.toml
	$(STEP) "Python environment for the emulator ($(EMULATOR_VENV))"
	scripts/make-venv $(PYTHON) $(EMULATOR_VENV) -e emulator --group emulator/pyproject.toml:test
	touch $@

$(NEWEST_VENV)/.ready: pyproject.toml requirements.txt
	$(STEP) "Python environment with the newest ansible-core ($(NEWEST_VENV))"
	scripts/make-venv $(PYTHON_NEWEST) $(NEWEST_VENV) -r requirements.txt --group ansible-newest --group test
	touch $@

.PHONY: programs
programs: $(EMULATOR_VENV)/.ready ## Build or find the Kubernetes programs, Azurite and PostgreSQL (once, then cached)
	$(STEP) "Azurite and PostgreSQL"
	$(EMULATOR_BIN)/python -m cloud_emulator.backends.npm
	$(STEP) "Kubernetes programs (built from Go modules once, about 10 minutes on 2 cores)"
	$(EMULATOR_BIN)/python -m cloud_emulator.backends.programs

# --- checks, from fast to slow ---------------------------------------------------------------------------------------------------------------

.PHONY: check
check: lint types unit ## Lint, types, unit tests: within three minutes

.PHONY: lint
lint: $(VENV)/.ready
	$(STEP) "ruff"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(STEP) "ansible-lint (production)"
	$(BIN)/ansible-lint

.PHONY: types
types: $(VENV)/.ready $(EMULATOR_VENV)/.ready
	$(STEP) "mypy: collection"
	$(BIN)/mypy
	$(STEP) "mypy: emulator"
	cd emulator && $(EMULATOR_BIN)/mypy --config-file pyproject.toml

.PHONY: unit
unit: $(VENV)/.ready
	$(STEP) "unit tests of the collection"
	$(BIN)/pytest -q -n 2

.PHONY: test-newest
test-newest: check ## The unit tests once more with Python 3.13 and the newest ansible-core, where they are on the machine
ifneq ($(PYTHON_NEWEST),)
	$(MAKE) --no-print-directory $(NEWEST_VENV)/.ready
	$(STEP) "unit tests with $$($(NEWEST_BIN)/ansible --version | head -n 1)"
	PATH=$(NEWEST_BIN):$$PATH $(NEWEST_BIN)/pytest -q -n 2
else
	@echo "No Python 3.13 on this machine: the newest ansible-core was not tried."
endif

.PHONY: sanity
sanity: $(VENV)/.ready ## ansible-test sanity on a copy of the collection
	$(STEP) "ansible-test sanity"
	scripts/sanity $(BIN)

.PHONY: test-emulator
test-emulator: setup ## The emulator's own tests, with Microsoft's SDKs as clients
	$(STEP) "emulator tests"
	cd emulator && $(EMULATOR_BIN)/pytest -q -n 2 --dist loadfile --durations=10

.PHONY: molecule
molecule: setup ## Both molecule scenarios on the emulator
	$(STEP) "molecule: default"
	PATH=$(EMULATOR_BIN):$$PATH $(BIN)/molecule test
	$(STEP) "molecule: faults-azure"
	PATH=$(EMULATOR_BIN):$$PATH $(BIN)/molecule test --scenario-name faults-azure

.PHONY: test-flow
test-flow: setup ## A real Metaflow flow through what was deployed
	$(STEP) "a real flow, end to end"
	$(BIN)/python demo/run.py --cloud $(CLOUD) --state $(BUILD)/flow --discard

.PHONY: bench
bench: setup ## Print ratios and counts (fails nothing)
	$(BIN)/python bench/run.py $(BENCH_ARGS)

.PHONY: clean
clean: ## Remove what the targets made in this folder (caches under ~/.cache stay)
	rm -rf $(BUILD) $(VENV) $(EMULATOR_VENV) $(NEWEST_VENV)
