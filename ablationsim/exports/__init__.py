"""Predictions as files for other programs, in the coordinates of the patient."""
