# Everything AMATO does from the command line. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
# Targets share one platform and one environment: never run two of them at once.
.NOTPARALLEL:

PYTHON := .venv/bin/python
STACK := $(PYTHON) -m local_stack
PYTEST := $(PYTHON) -m pytest
PACKAGES := local_stack ddl elt data_generators report_pages ml dags plugins
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONPATH := $(CURDIR)
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

# First lines of a recipe that must not install anything by itself.
define needs_environment
if [[ ! -x $(PYTHON) ]]; then echo 'error: the environment is missing: `make install`' >&2; exit 2; fi
endef
define needs_anything_started
if [[ ! -x $(PYTHON) && ! -d $${AMATO_LOCAL:-.local}/run ]]; then echo 'nothing was started here'; exit; fi
endef

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

.PHONY: run
run: install ## from nothing to a finished run [SCALE= SEED= DAYS= AS_OF= DEFECTS= EFFECTS= DEMO=1 SALES_CSV=]
	@$(STACK) run

# What builds marts with dbt, and what learns from marts, takes as long as all other tests: it runs
# beside them, on servers of its own, and its report comes last.
MARTS_TESTS := $(wildcard tests/integration/test_dbt_*.py tests/integration/test_ml_*.py)

.PHONY: test
test: install ## every test but the benchmarks
	@mkdir -p .local/test
	report=.local/test/marts.log
	AMATO_TEST_FOLDER=marts $(PYTEST) $(MARTS_TESTS) >"$$report" 2>&1 &
	marts=$$!
	trap 'if kill $$marts 2>/dev/null; then AMATO_LOCAL=.local/test/marts $(STACK) down; fi' EXIT
	others=0 made=0
	$(PYTEST) tests/unit tests/dags tests/integration tests/e2e $(MARTS_TESTS:%=--ignore=%) || others=$$?
	wait $$marts || made=$$?
	cat "$$report"
	exit $$((others ? others : made))

.PHONY: up
up: install ## start the servers, Airflow and MLflow [DEMO=1]
	@$(STACK) up

.PHONY: down
down: ## stop everything; the data stays
	@$(needs_anything_started)
	$(needs_environment)
	$(STACK) down

.PHONY: status
status: install ## show every service, and how fresh each table is
	@$(STACK) status

.PHONY: clean
clean: ## stop everything and remove all data; downloads stay
	@$(needs_anything_started)
	$(needs_environment)
	$(STACK) clean

.PHONY: env
env: ## print shell-exportable connection URLs with full rights: eval "$(make -s env)"
	@$(needs_environment)
	$(STACK) env

.PHONY: secrets
secrets: ## write .env, with random secrets, for docker compose
	@python3.11 -m local_stack.compose_secrets

.PHONY: docs
docs: ## generate the dbt docs of the latest night
	@$(needs_environment)
	$(STACK) docs

.PHONY: lint
lint: install ## ruff, mypy and sqlfluff
	@ruff check .
	ruff format --check .
	mypy --strict $(PACKAGES)
	sqlfluff lint dbt_project ddl/warehouse

.PHONY: format
format: install ## format Python and SQL
	@ruff check --fix .
	ruff format .
	sqlfluff fix dbt_project ddl/warehouse

.PHONY: bench faults chaos soak
bench: ## the benchmarks (long)
faults: ## spoil the data, kill the parts: nothing bad passes, nothing is lost (long)
chaos: ## random kills for a while (long)
soak: ## many nights in a row (long)
bench: FOLDER := tests/benchmarks
faults chaos soak: FOLDER = tests/$@
bench faults chaos soak:
	@if ! compgen -G '$(FOLDER)/test_*.py' >/dev/null; then
	    echo 'error: this version has no tests for `make $@` ($(FOLDER))' >&2
	    exit 2
	fi
	local_stack/bootstrap.sh
	$(PYTEST) $(FOLDER)

.PHONY: install
install: ## system packages, Python environment, MongoDB; instant when they are there
	@local_stack/bootstrap.sh

.PHONY: lock
lock: ## compile requirements.txt from pyproject.toml [UPGRADE=1]
	@local_stack/lock.sh $(if $(UPGRADE),--upgrade)
