"""What every kernel of this environment knows from its first cell on, also after a restart."""

from coursework.notebook import check, hint, review  # noqa: F401 - for the notebook
