# Everything starts here: `make help`.
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
VENV := .venv
PYTHON_IN := $(VENV)/bin/python

# Whoever has no home of their own (`su nobody`) gets one, for the caches of pip and of the browser.
ifneq ($(shell test -n "$$HOME" && test -w "$$HOME" && echo writable),writable)
export HOME := $(CURDIR)/$(VENV)/home
endif

# Changes with the requirements and with the Python that they were installed for.
REQUIREMENTS := requirements.txt requirements-bundled.txt requirements-dev.txt
STAMP = $(VENV)/.installed-$(shell { cat $(REQUIREMENTS); $(PYTHON_IN) --version; } 2>&1 | cksum | tr ' ' '-')

# As a production site is configured; new secrets each time.
SECRET = $(shell $(PYTHON_IN) -c 'import secrets; print(secrets.token_urlsafe(64))')
PRODUCTION = HTTPS=true ALLOWED_HOSTS=boxoffice.example ADMINS=staff@boxoffice.example SECRET_KEY=$(SECRET) \
	CLAIM_KEY=$(SECRET) EMAIL_URL=smtp://mail.example PAYMENT_PROVIDER=stripe STRIPE_SECRET_KEY=$(SECRET) \
	STRIPE_WEBHOOK_SECRET=$(SECRET) \
	DATABASE_URL=postgres://boxoffice@database.example/boxoffice \
	DATABASE_OWNER_URL=postgres://boxoffice_owner@database.example/boxoffice

# Compiled code is kept, even where the environment says otherwise: tests start programs by the hundred, and each would
# compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

# Tests wait for processes and for time to pass, so there are more at once than cores; the longest files come first.
BY_FILE := --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install run test test-long test-machine schema check audit pictures

help:  ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

install:  ## Make .venv with everything in it; does nothing when it is up to date
	@test -e $(STAMP) || { .ci/install $(VENV) && rm -f $(VENV)/.installed-* && $(MAKE) stamp; }

.PHONY: stamp
stamp:
	@touch $(STAMP)

run: install  ## Run Boxoffice with servers of its own (make run PORT=9000; HOST, DATABASE_URL, REDIS_URL, ...)
	@$(PYTHON_IN) -m config.run --with-parent

test: install  ## Check, then run the tests; make test ARGS="tests/unit -k seats" runs just these
ifdef ARGS
	@$(PYTHON_IN) -m pytest $(ARGS)
else
	@$(MAKE) check
	@$(PYTHON_IN) -m pytest -n 4 $(BY_FILE) -m "not long"
endif

test-long: install  ## Run what takes longest: benchmarks, soaks, kills, interleavings, a crowd, whole installations, pictures
	@ROUNDS=20 $(PYTHON_IN) -m pytest -n 2 $(BY_FILE) -m long

test-machine: install  ## Run the integration tests on this machine's own PostgreSQL and Redis, if it has them
	@if $(PYTHON_IN) -m tests.servers; then \
	    BOXOFFICE_TEST_SERVERS=machine $(PYTHON_IN) -m pytest -n 2 $(BY_FILE) -m "not bundled" tests/integration; \
	else \
	    echo "This machine has no PostgreSQL and Redis of its own to test on."; \
	fi

audit: install  ## Known vulnerabilities of everything that is installed, if a database of them can be asked
	@$(PYTHON_IN) -m tests.audit

pictures: install  ## Take the pictures of the docs anew
	@PICTURES=docs/images $(PYTHON_IN) -m pytest tests/browser/test_pictures.py tests/browser/test_selling_a_conference.py

schema: install  ## Write docs/openapi.yaml anew, unless it breaks what was promised (make schema BREAKING=--breaking)
	@$(PYTHON_IN) manage.py contract --write $(BREAKING)

check: install  ## Formatting, linting, types, architecture, Django's own checks
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/ruff check --quiet .
	@$(MAKE) --jobs 2 --output-sync=target types project

.PHONY: types project
types:
	@$(VENV)/bin/mypy

project:
	@$(VENV)/bin/lint-imports --no-logo
	@$(PYTHON_IN) manage.py check
	@$(PYTHON_IN) manage.py contract
	@$(PRODUCTION) $(PYTHON_IN) manage.py check --deploy --fail-level WARNING
	@$(PYTHON_IN) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
