"""Rules about a module's entry in the catalogue."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from coursework.authoring.audit.subject import Finding, Subject
from coursework.authoring.diffs import DiffError
from coursework.authoring.source import reference_files
from coursework.modules.catalogue import load_catalogue

_CONTINUED = re.compile(r"\\\n")
_FROM = re.compile(r"^FROM(?:\s+--\S+)*\s+(\S+)(?:\s+AS\s+(\S+))?", re.MULTILINE | re.IGNORECASE)


def entry_is_in_order(subject: Subject) -> Iterator[Finding]:
    """Find an entry that comes too late or too early: by number, part or what it requires."""
    catalogue, slug = load_catalogue(subject.layout), subject.slug
    modules = catalogue.modules
    order = [module.slug for module in modules]
    place = order.index(slug)
    faults = []
    for name in subject.module.requires:
        if name not in order:
            faults.append(("unknown-requirement", f"requires {name}, which is not listed"))
        elif order.index(name) >= place:
            faults.append(("later-requirement", f"requires {name}, which does not come before it"))
    if place and modules[place - 1].number >= subject.module.number:
        faults.append(("catalogue-order", f"is listed behind {order[place - 1]}"))
    part = subject.module.part
    if [name for name, _ in catalogue.parts()].count(part) > 1:
        what = f"belongs to {part!r}, whose modules are not all in a row"
        faults.append(("scattered-part", what))
    for rule, what in faults:
        yield subject.finding(subject.layout.catalogue, rule, f"{slug} {what}")


def images_exist(subject: Subject) -> Iterator[Finding]:
    """Find images that no folder of images/ makes."""
    from coursework.images.recipe import load_recipes  # noqa: PLC0415 - loads the engine's client

    known = load_recipes(subject.layout)
    for name in subject.module.all_images:
        if name not in known:
            what = f"{subject.slug} names {name}; images/ makes {', '.join(known) or 'none'}"
            yield subject.finding(
                subject.layout.catalogue, "unknown-image", what, "course images list"
            )


def dockerfiles_use_listed_images(subject: Subject) -> Iterator[Finding]:
    """Find base images of answers that the module does not list."""
    listed = ", ".join(subject.module.images) or "none"
    for path, lines in _dockerfiles(subject).items():
        # A continued line of a RUN may begin with "from" too, as Python does.
        text = _CONTINUED.sub(" ", lines)
        stages = {str(stage).lower() for _, stage in _FROM.findall(text) if stage}
        for name, _ in _FROM.findall(text):
            if name in subject.module.images or name == "scratch" or "$" in name:
                continue
            if name.lower() not in stages:
                what = f"FROM {name}; the catalogue lists for {subject.slug}: {listed}"
                yield subject.finding(path, "unlisted-image", what)


def _dockerfiles(subject: Subject) -> Mapping[Path, str]:
    layout, slug = subject.layout, subject.slug
    folders = (layout.solution(slug).parent, layout.grader(slug))
    paths = [p for folder in folders for p in sorted(folder.rglob("Dockerfile")) if p.is_file()]
    found = {path: path.read_text("utf-8", "replace") for path in paths}
    written = {layout.solution(slug): reference_files(subject.exercise)}
    for mistake in subject.mistakes:
        with suppress(DiffError):
            written[mistake.path] = mistake.changed
    for place, files in written.items():
        for name, data in files.items():
            if Path(name).name == "Dockerfile":
                found[place] = data.decode(errors="replace")
    return found
