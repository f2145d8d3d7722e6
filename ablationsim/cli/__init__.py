"""The command line: thin commands over the Python interface."""

from ablationsim.cli import running, studies, validating, comparing, overlapping, sweeping, listing  # noqa: F401, I001  (commands are listed in this order)
from ablationsim.cli import uncertainty  # noqa: F401
from ablationsim.cli.application import app, main

__all__ = ["app", "main"]
