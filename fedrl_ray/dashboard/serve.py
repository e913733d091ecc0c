"""`fedrl-ray dashboard`: serve the live page until Ctrl-C."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import typer

from ..common.errors import UserError

NICE = 15
"""That of Ray's workers: what trains on this machine does not wait for its picture."""


def dashboard(paths: Sequence[Path], host: str, port: int) -> None:
    """Check what was asked for, say where the page is, serve it. Raises UserError."""
    if importlib.util.find_spec("dash") is None:
        raise UserError("the dashboard needs Dash: pip install 'fedrl-ray[dashboard]'")
    require_paths(paths)
    from . import server

    os.nice(NICE)
    # A program started in the background by a script inherits SIGINT as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with server.listen(host, port) as listener, contextlib.suppress(KeyboardInterrupt):
        served = server.make(paths, listener, host)
        typer.echo(f"dashboard: {server.url_of(listener)}   (Ctrl-C ends it)")
        if not server.is_loopback(listener):
            typer.echo(
                f"warning: --host {host}: there is no password, so anyone who reaches port "
                f"{listener.getsockname()[1]} can read these results",
                err=True,
            )
        served.serve_forever()


def require_paths(paths: Sequence[Path]) -> None:
    """A run that is yet to begin is waited for; a folder that is not there is a mistake. Raises
    UserError."""
    for path in paths:
        if path.exists() and not path.is_dir():
            raise UserError(f"{path}: a file; give run directories, sweeps, or folders of them")
        if not path.exists() and not path.absolute().parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.absolute().parent}")
