"""What MkDocs asks of us: derived pages, the navigation, the map, and mermaid from our own site."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from coursework.layout import Layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.publishing.pages import exercise_path, lesson_path, lesson_pictures, module_pages
from coursework.publishing.roadmap import roadmap_svg
from coursework.trouble import CourseError

_MAP = "<!-- roadmap -->"
_MERMAID = "assets/mermaid.js"
_BUNDLE = re.compile(r'<script src="([^"]*)assets/javascripts/bundle')
_DRAWING = re.compile(r'<pre class="mermaid">.*?</pre>', re.DOTALL)
# Texts that are where their other readers look for them: page, file.
_TEXTS = {
    "authors.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "topics.md": "course/topics.md",
}
# A lesson as that text links to it: beside its own file.
_LESSON = re.compile(r"\]\(([\w-]+)/lesson\.md")


def _layout(config: MkDocsConfig) -> Layout:
    return Layout(Path(config.config_file_path).parent)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Return the navigation: home, the modules part by part, then what mkdocs.yml lists."""
    parts: list[Any] = [
        {part: [_entry(module) for module in modules]}
        for part, modules in load_catalogue(_layout(config)).parts()
    ]
    first, *rest = config.nav or []
    config.nav = [first, *parts, *rest]
    return config


def _entry(module: Module) -> dict[str, list[str]]:
    return {module.label: [lesson_path(module), exercise_path(module)]}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the derived pages and mermaid.

    Raises:
        PluginError: a page cannot be derived; with the command that helps.
    """
    layout = _layout(config)
    try:
        pages = module_pages(layout, load_catalogue(layout))
    except CourseError as error:
        raise PluginError(str(error)) from error
    for page, text in _TEXTS.items():
        pages[page] = _relinked((layout.root / text).read_text("utf-8"))
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    for page, picture in lesson_pictures(layout, load_catalogue(layout)).items():
        files.append(File.generated(config, page, abs_src_path=str(picture)))
    files.append(File.generated(config, _MERMAID, abs_src_path=str(_mermaid())))
    return files


def _relinked(markdown: str) -> str:
    for page, text in _TEXTS.items():
        markdown = markdown.replace(f"]({text})", f"]({page})")
    return _LESSON.sub(r"](\1/index.md", markdown)


def _mermaid() -> Path:
    return Path(str(files("mmdc"))) / "assets" / "mermaid.js"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw the map where a page asks for it."""
    del page, files
    if _MAP not in markdown:
        return markdown
    return markdown.replace(_MAP, roadmap_svg(load_catalogue(_layout(config))))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load mermaid where a page draws something: the theme would ask another host for it."""
    del page, config
    if 'class="mermaid"' not in output:
        return output
    # What site/javascripts/drawings.js gives a button that enlarges it.
    output = _DRAWING.sub(r'<div class="drawing">\g<0></div>', output)
    return _BUNDLE.sub(rf'<script src="\1{_MERMAID}"></script>\g<0>', output, count=1)
