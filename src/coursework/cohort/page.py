"""A page for an instructor or a learner: one file without script, fit to be sent."""

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font-family: sans-serif; margin: 2em auto;
max-width: 60em; padding: 0 1em }} td, th {{ text-align: left; padding: 0.2em 1em 0.2em 0;
vertical-align: top }}{style}</style>
<h1>{title}</h1>
{body}
</html>
"""


def page(title: str, body: str, *, style: str = "") -> str:
    """Return a whole page.

    Args:
        title: is escaped here.
        body: HTML, in which everything that others wrote is escaped.
        style: CSS beside that of all pages.
    """
    return _PAGE.format(title=escape(title), body=body, style=style)
