"""Who of a class wrote the same."""
