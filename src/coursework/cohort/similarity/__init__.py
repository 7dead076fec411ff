"""Who of a class wrote the same: code compared by fingerprints, for a person to look at."""
