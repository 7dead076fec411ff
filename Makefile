# The set-up: `make lab` to learn, `make test` to prove. All prepare what they need.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: lab test check site environment

lab: environment
	@exec .venv/bin/course lab $(ARGS)

test: environment
	@.venv/bin/course images make --except course/kubernetes:1
	@.venv/bin/pytest --numprocesses=2 --dist=loadgroup --durations=20 $(ARGS)

site: environment
	@.venv/bin/course site

check: environment
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

environment:
	@PYTHONPATH=src $(PYTHON) -m coursework.setup.bootstrap
