# The set-up: `make lab` to learn, `make test` to prove. All prepare what they need.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: lab test check site environment

lab: environment
	@exec .venv/bin/course lab $(ARGS)

test: environment
	@.venv/bin/course images make
	@.venv/bin/pytest $(ARGS)

site: environment
	@.venv/bin/course engine start
	@.venv/bin/course site

check: environment
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

environment:
	@PYTHONPATH=src $(PYTHON) -m coursework.setup.bootstrap
