"""The server of the page: on this computer only, for those who were told the address."""

from __future__ import annotations

import asyncio
import secrets
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from ablationsim.errors import OutputError
from ablationsim.results import Result
from ablationsim.viewer.scene import RunScene

HOST = "127.0.0.1"


def show(folder: Path, port: int = 0, browser: bool = True, say: Callable[[str], None] = print) -> None:
    """Show a finished run in the browser until the process is interrupted.

    The page is served to this computer only, and only to those who know the address: it has a word in it that is made
    anew every time.

    Parameters
    ----------
    folder : Path
        Run folder.
    port : int
        Where to listen; 0 for any that is free.
    browser : bool
        Open the page in the default browser.
    say : callable
        Is told the address when the page is there.

    Raises
    ------
    OutputError
        When the folder is not that of a finished run, the port is taken, or what the page needs is not installed.
    """
    try:
        from trame.app import get_server
    except ImportError as error:
        raise OutputError(
            f"The page of a run needs packages that are not installed ({error.name}). Install them with "
            "pip install 'ablationsim[view]'; the report of the run has most of it without them."
        ) from None
    from ablationsim.viewer.page import Page

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    scene = RunScene.of(Result.load(folder))
    server = get_server(client_type="vue3")
    server.state.trame__title = f"{scene.title} – ablationsim"
    Page(server, scene)
    word = secrets.token_hex(16)

    @server.controller.add("on_server_ready")
    def _ready(**_: object) -> None:
        here = f"{HOST}:{server.port}"
        address = f"http://{here}/index.html?secret={word}&sessionURL=ws://{here}/ws"
        say(address)
        if browser:
            webbrowser.open(address)

    # The server takes its options from the command line, and those of this program are not its own.
    given, sys.argv = sys.argv, [sys.argv[0], f"--authKey={word}", "--nosignalhandlers"]
    try:
        running = server.start(
            port=port,
            host=HOST,
            open_browser=False,
            show_connection_info=False,
            timeout=0,
            disable_logging=True,
            exec_mode="coroutine",
        )
    finally:
        sys.argv = given
    try:
        loop.run_until_complete(running)
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise OutputError(
            f"The page cannot be served at port {port} of {HOST}: {error.strerror or error}. Choose another with "
            "--port, or leave it out for any that is free."
        ) from error
