"""A class graded on several machines: one Dask task a submission, and one writer of results."""
