"""Validation: published measurements beside what the program predicts for them, and how far apart the two are."""
