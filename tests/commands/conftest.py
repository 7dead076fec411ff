"""What tests of commands share: a clone with a module begun, and the command line run in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursework.containers.cleaning import clean
from coursework.images import ensure_images
from tests.clone import own, tiny_clone
from tests.grading.test_grade import CASES

COURSE = Path(sys.executable).parent / "course"
SLUG = own("90-typed")


@pytest.fixture
def clone(engine, tmp_path):
    """Return a clone whose tiny module was answered with the right server."""
    ensure_images(engine, ["python:3.13-slim"])
    layout = tiny_clone(tmp_path / "clone", SLUG)
    save(layout, (CASES / "right" / "server.py").read_text("utf-8"))
    yield layout
    # No later check would: the next test's clone is another one.
    clean(engine.client, SLUG, everywhere=True)


def save(layout, server, module=SLUG, **files):
    """Save the learner's notebook with this server in its cell, and further files in others."""
    cells = [
        {"cell_type": "code", "source": f"%%writefile {name}\n{text}", "metadata": {}}
        for name, text in {"server.py": server, **files}.items()
    ]
    content = {"nbformat": 4, "cells": cells, "metadata": {"coursework": {"module": module}}}
    path = layout.work(module) / "exercise.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


@pytest.fixture
def course(clone, engine):
    """Return a function that starts the command line in the clone."""

    def start(*arguments):
        return subprocess.Popen(
            [COURSE, *arguments],
            cwd=clone.root,
            env={**os.environ, "DOCKER_HOST": engine.docker_host},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def finished(course):
    """Return a function that runs the command line to its end: exit code, output, errors."""

    def run(*arguments):
        process = course(*arguments)
        out, errors = process.communicate(timeout=120)
        return process.returncode, out, errors

    return run
