# The set-up: `make lab` to learn, `make test` to prove. Both prepare what they need.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: lab test check environment

lab: environment
	@exec .venv/bin/course lab $(ARGS)

test: environment
	@.venv/bin/course engine start
	@.venv/bin/pytest $(ARGS)

check: environment
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

environment:
	@PYTHONPATH=src $(PYTHON) -m coursework.bootstrap
