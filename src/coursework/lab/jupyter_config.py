"""JupyterLab's settings for the lab; read by JupyterLab itself, never imported."""

# ruff: noqa: F821 - JupyterLab defines `c` where it reads this file.
# mypy: ignore-errors

from pathlib import Path

c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.terminado_settings = {"shell_command": ["bash"]}
# What a learner does not need costs a third of the start.
c.ServerApp.jpserver_extensions = {
    "jupyter_lsp": False,
    "jupyterlab_jupytext": False,
    "nbgrader.server_extensions.assignment_list": False,
    "nbgrader.server_extensions.course_list": False,
    "nbgrader.server_extensions.formgrader": False,
    "nbgrader.server_extensions.validate_assignment": False,
    "notebook": False,
}
# Nothing asks the network for anything: the lab works without one.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
# Nor does the page: no question about news, none of an instructor's menus.
c.LabApp.app_settings_dir = str(Path(__file__).with_name("app_settings"))
# The page saves a notebook whenever a cell is run, and opens terminals in the notebook's folder.
c.LabApp.extra_labextensions_path = [str(Path(__file__).with_name("labextensions"))]
