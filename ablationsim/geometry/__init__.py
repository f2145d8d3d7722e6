"""Applicators placed in a block of tissue."""
