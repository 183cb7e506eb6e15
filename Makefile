# make demo: a sentence becomes a trained policy.   make test: the tests.   Both set up what they need first.

TASK ?= metaworld/drawer-open
ARGS ?=
WORKERS ?= $(shell nproc 2>/dev/null | awk '{ print ($$1 > 8) ? 8 : $$1 }')
PYTHON_IN_VENV := .venv/bin/python
PACKAGES := $(wildcard robot_learn sims rewards controllers hardware)

.PHONY: help setup demo test check format

help:
	@echo 'make demo    set up, then robot-learn run $(TASK)     (another one: make demo TASK=metaworld/door-open)'
	@echo 'make test    set up, then the tests                            (some: make test ARGS="-k scene")'
	@echo 'make check   set up, then ruff and mypy'
	@echo 'make format  set up, then let ruff put the text in order'
	@echo 'make setup   set up only: .venv, Python packages, Debian packages for rendering'

setup:
	@scripts/setup.sh

demo: setup
	@.venv/bin/robot-learn run $(TASK) $(ARGS)

test: setup
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: setup
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m mypy $(PACKAGES)

format: setup
	@$(PYTHON_IN_VENV) -m ruff check --fix .
	@$(PYTHON_IN_VENV) -m ruff format .
