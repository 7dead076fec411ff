"""The image of opening night is the capstone's solution, so that 33b and 33c run what 33 taught."""

import re

from tests.content.test_modules import LAYOUT

CELL = re.compile(
    r"^%%writefile (\S+)\n\S+ BEGIN SOLUTION\n(.*?)\n\S+ END SOLUTION\n```$",
    re.MULTILINE | re.DOTALL,
)
# Only by hand, with Compose: in a cluster others do this.
COMPOSED = {"compose.yaml", "haproxy.cfg"}


def test_the_image_has_the_solution_of_the_capstone():
    """File by file; the Dockerfile has two lines more, which name the image."""
    folder = LAYOUT.root / "images/opening-night"
    written = (LAYOUT.root / "solutions/33-capstone/exercise.md").read_text("utf-8")
    solution = {name: text for name, text in CELL.findall(written) if name not in COMPOSED}
    image = {
        str(f.relative_to(folder)): re.sub(r"\A(?:# .*\n)+", "", f.read_text("utf-8")).rstrip("\n")
        for f in folder.rglob("*")
        if f.is_file() and not f.name.startswith("package")
    }
    assert image == solution
