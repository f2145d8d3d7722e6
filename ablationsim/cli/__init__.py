"""The command line: thin commands over the Python interface."""

from ablationsim.cli import running, meshing, studies, validating, comparing, overlapping, sweeping, listing  # noqa: F401, I001  (commands are listed in this order)
from ablationsim.cli import uncertainty  # noqa: F401
from ablationsim.cli import exporting, fitting  # noqa: F401
from ablationsim.cli import anatomy  # noqa: F401
from ablationsim.cli import margins  # noqa: F401
from ablationsim.cli import planning  # noqa: F401
from ablationsim.cli import viewing  # noqa: F401
from ablationsim.cli.application import app, main

__all__ = ["app", "main"]
