"""The command that shows a run in the browser: view."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablationsim.cli.application import app


@app.command()
def view(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the default browser.")] = True,
) -> None:
    """Show a run in the browser: planes, space and time. On this computer only; Ctrl-C ends it."""
    from rich.console import Console

    from ablationsim.viewer.server import show

    console = Console()
    status = console.status("reading the run")

    def say(address: str) -> None:
        status.stop()
        typer.echo(f"{address}\nResearch use only; not a medical device. Ctrl-C ends the page.")

    with status:
        show(run, port=port, browser=browser, say=say)
