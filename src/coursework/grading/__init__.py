"""Grading one submission: files in, a report out."""
