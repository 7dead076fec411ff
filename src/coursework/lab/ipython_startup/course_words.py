"""What IPython runs at the start of each kernel of this environment, also after a restart."""

from IPython.core.getipython import get_ipython

get_ipython().run_line_magic("load_ext", "coursework.lab.kernel")  # type: ignore[union-attr]
del get_ipython
