# Two commands do everything: `make run` and `make test`. They need Python 3.11 or newer, its venv and pip; no more.

VENV := .venv
PYTHON := $(VENV)/bin/python
MAKEFLAGS += --no-print-directory
LOCAL_POSTGRES = postgres://$(or $(PGUSER),$(shell id -un))@127.0.0.1:5432/postgres

.DEFAULT_GOAL := help
.PHONY: help run test test-browser test-long test-postgres lint settings-docs catalogues clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## set up what is missing, then start everything; Ctrl-C stops it
	@exec $(PYTHON) manage.py serve

test: $(VENV)/installed-dev ## the test suite, on SQLite, with no server installed; a browser's part is test-browser
	@exec env -u DATABASE_URL -u CELERY_BROKER_URL -u CACHE_URL $(PYTHON) -m pytest -n auto --dist loadgroup --ignore=tests/browser $(ARGS)

test-browser: $(VENV)/installed-dev ## the pages in a real browser; skipped, with a word, where there is no Chromium
	@exec env -u DATABASE_URL -u CELERY_BROKER_URL -u CACHE_URL $(PYTHON) -m pytest -n 2 --dist loadfile -rs tests/browser $(ARGS)

test-long: $(VENV)/installed-dev ## whole installations for minutes: several hosts, a replica, a chain of two, an upgrade
	@exec env LONG_TESTS=1 $(PYTHON) -m pytest -n 0 -m long tests/ops $(ARGS)

test-postgres: $(VENV)/installed-dev ## all that may touch a database, on DATABASE_URL, CELERY_BROKER_URL, CACHE_URL (default: local)
	@DATABASE_URL="$${DATABASE_URL:-$(LOCAL_POSTGRES)}" \
	CELERY_BROKER_URL="$${CELERY_BROKER_URL:-redis://127.0.0.1:6379/14}" \
	CACHE_URL="$${CACHE_URL:-redis://127.0.0.1:6379/15}" \
	$(PYTHON) -m pytest -n auto --dist loadgroup --ignore=tests/browser --with-database $(ARGS)

lint: $(VENV)/installed-dev ## style, types, import contract, migrations, production settings
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sh .ci/lint

settings-docs: $(VENV)/installed ## write docs/settings.md anew from the code
	@$(PYTHON) manage.py settings_reference --write

catalogues: $(VENV)/installed-dev ## gather the marked strings for translators and compile what they wrote
	@$(PYTHON) .ci/catalogues

clean: ## remove the environment and caches; the data in var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp holds the lock it was made from, so that nothing is installed again until the lock changes.
$(VENV)/installed: requirements.lock | $(PYTHON)
	@cmp -s requirements.lock $@ || { echo "Installing the locked packages …"; \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; }
	@cp requirements.lock $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed | $(PYTHON)
	@cmp -s requirements-dev.lock $@ || { echo "Installing the locked packages for tests …"; \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock; }
	@cp requirements-dev.lock $@

$(PYTHON):
	@sh .ci/make-venv $(VENV)
