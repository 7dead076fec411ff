"""Views of a report: they word and draw what the results say, and decide nothing."""
