# `make` shows what there is. Settings are given as make run PORT=8001 VAR=/path/to/folder.
PORT ?= 8000
VAR ?= var
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
export PORT VAR

.DEFAULT_GOAL := help
.PHONY: help run stop test test-slow check docs fmt lock clean setup setup-dev browser

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: setup ## install, start everything, print the address (PORT=8000 VAR=var HOST=127.0.0.1 GPU=)
	@$(PY) -m deepseek_web.launch run

stop: ## end what `make run` started in another terminal (VAR=var)
	@test -x $(PY) && $(PY) -m deepseek_web.launch stop || test ! -x $(PY)

test: setup-dev browser ## run all tests but the slow ones, on servers of their own (ARGS="-k chat")
	@$(PY) -m tests.both $(ARGS)

test-slow: setup-dev browser ## run the slow tests (ARGS=...)
	@$(PY) -m pytest -m slow $(ARGS)

check: setup-dev ## linters, types, import law, migrations, templates, messages
	@$(PY) -m tests.check

docs: setup-dev ## build docs/ into site/, strictly and without a network
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "Read it: $(PY) -m http.server --bind 127.0.0.1 --directory site 8010"

fmt: setup-dev ## format and sort imports
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

lock: setup-dev ## resolve requirements*.in into the lock files again
	@$(PY) deepseek_web/launch/lock.py

clean: ## remove .venv and caches; VAR stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@$(if $(PYTHON),,echo "Python 3.11 was not found. Install it (Debian: apt install python3.11 python3.11-venv)." >&2; exit 1;) \
	"$(PYTHON)" deepseek_web/launch/venv.py $(if $(GPU),--gpu)

setup-dev:
	@$(if $(PYTHON),,echo "Python 3.11 was not found. Install it (Debian: apt install python3.11 python3.11-venv)." >&2; exit 1;) \
	"$(PYTHON)" deepseek_web/launch/venv.py --dev $(if $(GPU),--gpu)

browser:
	@sh tests/install_browser.sh
