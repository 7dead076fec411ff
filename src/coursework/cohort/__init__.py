"""Many submissions: read from where an instructor has them, graded in parallel, written once."""
