"""A learner has one name, whether nbgrader or course grade reads the folder."""

import unicodedata

from traitlets.config import Config

from coursework.cohort.source import find_submissions
from coursework.nbgrading.configuration import FOLDER, configure
from tests.clone import tiny_clone

NAME = "José Ångström"


def test_folders_are_named_in_nfc(tmp_path):
    """As a Mac's zip leaves them, and one that is there in both forms is left alone."""
    layout = tiny_clone(tmp_path / "clone", "90-names")
    submitted = layout.root / FOLDER / "submitted"
    for name in (NAME, "Zoë", "o'neil, mira"):
        (submitted / unicodedata.normalize("NFD", name) / "90-names").mkdir(parents=True)
    (submitted / "Zoë" / "90-names").mkdir(parents=True)
    config = Config()
    configure(config, layout.root)
    found = {s.learner for s in find_submissions(submitted, "90-names").submissions}
    assert found == {NAME, "Zoë", "o'neil, mira"}
    assert (submitted / NAME).is_dir()
    assert (submitted / unicodedata.normalize("NFD", "Zoë")).is_dir()
    # --to sets the same trait, and what is typed outranks a configuration.
    assert config.ExportPlugin.to == f"{FOLDER}/grades.csv"
    assert "to" not in config.CsvExportPlugin
