"""The application that commands register with, and how it is started."""

from __future__ import annotations

import errno
import signal
import sys

import typer

from ablationsim.cli.console import end
from ablationsim.errors import AblationSimError
from ablationsim.parallel.launcher import launched, only_first_speaks, refuse

app = typer.Typer(
    name="ablationsim",
    help="Predict thermal ablation zones in the liver. Research use only; not a medical device.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
devices = typer.Typer(help="The device profiles.", no_args_is_help=True)
app.add_typer(devices, name="devices")


@app.callback()
def started(context: typer.Context) -> None:
    """Predict thermal ablation zones in the liver. Research use only; not a medical device."""
    launch = launched()
    if context.invoked_subcommand not in ("run", "work") and launch is not None and (launch.size or 1) > 1:
        refuse(
            launch,
            f"{launch.text} of 'ablationsim {context.invoked_subcommand}', and all would do the same. Only 'run' goes "
            "over ranks: start the other commands once, without a launcher.",
        )


def main() -> None:
    """Entry point: run a command; every error that ablationsim knows is one paragraph, never a traceback."""
    only_first_speaks()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, end)
    try:
        app()
    except AblationSimError as error:
        sys.stdout.flush()
        print(f"ablationsim: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        # Beside the run folder there is the cache of compiled kernels to write.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        sys.stdout.flush()
        print(
            f"ablationsim: {error}. Make space on its disk, or set NUMBA_CACHE_DIR to a folder on another.",
            file=sys.stderr,
        )
        raise SystemExit(1) from None
