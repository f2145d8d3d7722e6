"""Meshes of the tissue: what they hold, how they are made, how they are written and read."""
