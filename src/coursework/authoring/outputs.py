"""A lesson's committed outputs: what its cells printed when its code was last run.

They are in course/NN-slug/outputs.json, one entry a code cell, in order. What differs from run
to run stays as it was printed: the file changes when the lesson's code does.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursework.authoring.source import Cell
from coursework.layout import Layout
from coursework.report.lines import printable

OUTPUTS = "outputs.json"
# Larger pictures would make the file unreadable; they are files beside it.
_INLINE_BYTES = 100_000
_SHOWN_CHARACTERS = 60
_PICTURE = re.compile(r"output-\d+-\d+\.png")


@dataclass(frozen=True)
class Picture:
    """A PNG that a cell showed.

    Args:
        data: its bytes.
        file: its name beside outputs.json; empty where it is in there.
    """

    data: bytes
    file: str = ""


# What a code cell showed, in order.
Shown = tuple[str | Picture, ...]


@dataclass(frozen=True)
class Outputs:
    """What all code cells of a lesson showed.

    Args:
        code: digest of the cells that were run.
        cells: of each code cell, in order.
    """

    code: str
    cells: tuple[Shown, ...]


def cells_digest(cells: Sequence[Cell]) -> str:
    """Return what changes when a code cell or its tags do; prose changes nothing."""
    code = [[cell.text, *cell.tags] for cell in cells if cell.kind == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def shown_in(notebook: bytes) -> tuple[Shown, ...]:
    """Return what each code cell of a notebook that ran has shown."""
    cells = json.loads(notebook)["cells"]
    return tuple(tuple(_shown(c["outputs"])) for c in cells if c["cell_type"] == "code")


def _shown(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str | Picture]:
    printed = ""
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            if printed:
                yield _plain(printed)
                printed = ""
            yield Picture(base64.b64decode(joined(data["image/png"])))
        elif output["output_type"] == "error":
            printed += f"{output['ename']}: {output['evalue']}\n"
        else:
            printed += joined(output.get("text", data.get("text/plain", "")))
    if printed:
        yield _plain(printed)


def _plain(text: str) -> str:
    """Return a text as a terminal leaves it: without colours, and each line as last rewritten."""
    return "\n".join(printable(x.rstrip("\r").rpartition("\r")[2]) for x in text.split("\n"))


def joined(text: Any) -> str:
    """Return a text that a notebook keeps whole or in lines."""
    return text if isinstance(text, str) else "".join(text)


def write_outputs(layout: Layout, slug: str, cells: Sequence[Cell], shown: Sequence[Shown]) -> None:
    """Keep what a lesson's code cells showed, in place of what was kept before.

    Args:
        layout: the clone.
        slug: of the module.
        cells: of the lesson that ran.
        shown: by each of its code cells.
    """
    folder = layout.lesson(slug).parent
    code = [cell for cell in cells if cell.kind == "code"]
    pictures: dict[str, bytes] = {}
    entries = []
    for number, (cell, outputs) in enumerate(zip(code, shown, strict=True), start=1):
        kept = [_kept(o, f"output-{number}-{n}.png", pictures) for n, o in enumerate(outputs, 1)]
        first = next((line for line in cell.lines if line.strip()), "")
        entries.append({"cell": first[:_SHOWN_CHARACTERS], "outputs": kept})
    content = {"code": cells_digest(cells), "cells": entries}
    for path in folder.iterdir():
        if _PICTURE.fullmatch(path.name):
            path.unlink()
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / OUTPUTS).write_text(f"{text}\n", "utf-8", newline="\n")


def _kept(output: str | Picture, name: str, pictures: dict[str, bytes]) -> Any:
    """Return one output as JSON; a large picture is added to those that become files."""
    if isinstance(output, str):
        return output.split("\n")
    if len(output.data) <= _INLINE_BYTES:
        return {"png": base64.b64encode(output.data).decode()}
    pictures[name] = output.data
    return {"file": name}


def read_outputs(layout: Layout, slug: str) -> Outputs | None:
    """Return a lesson's outputs; None where there are none, or none that can be read."""
    folder = layout.lesson(slug).parent
    try:
        content = json.loads((folder / OUTPUTS).read_bytes())
        cells = [tuple(_read(folder, o) for o in entry["outputs"]) for entry in content["cells"]]
        return Outputs(str(content["code"]), tuple(cells))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(folder: Path, output: Any) -> str | Picture:
    if isinstance(output, list):
        return "\n".join(output)
    if "png" in output:
        return Picture(base64.b64decode(output["png"]))
    if not _PICTURE.fullmatch(output["file"]):
        raise ValueError(output["file"])
    return Picture((folder / output["file"]).read_bytes(), output["file"])


def output_files(layout: Layout, slug: str) -> set[str]:
    """Return the names of the files beside a lesson that hold its outputs."""
    outputs = read_outputs(layout, slug)
    shown = [o for cell in outputs.cells for o in cell] if outputs else []
    return {OUTPUTS, *(o.file for o in shown if isinstance(o, Picture) and o.file)}
