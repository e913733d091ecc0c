"""The command `fedrl-ray dashboard`: serve the live page until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from ..common.console import notes, print_result
from ..common.errors import UserError
from ..common.modules import is_installed

NICE = 15
"""Niceness of the process, so that training on this machine goes first."""


def dashboard(paths: Sequence[Path], host: str, port: int) -> None:
    """Check the arguments, print the page's address and serve it. Raises UserError."""
    if not is_installed("dash"):
        raise UserError("the dashboard needs Dash: pip install 'fedrl-ray[dashboard]'")
    require_paths(paths)
    from . import server

    os.nice(NICE)
    # A program started in the background by a script inherits SIGINT as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with server.listen(host, port) as listener, contextlib.suppress(KeyboardInterrupt):
        served = server.make(paths, listener, host)
        print_result(f"dashboard: {server.url_of(listener)}   (Ctrl-C ends it)")
        if not server.is_loopback(listener):
            notes.print(
                f"warning: --host {host}: there is no password, so anyone who reaches port "
                f"{listener.getsockname()[1]} can read the results",
                soft_wrap=True,
            )
        served.serve_forever()


def require_paths(paths: Sequence[Path]) -> None:
    """Raise UserError for a file, or for a path whose parent folder does not exist.

    A path that does not exist yet is accepted: the page waits for its run.
    """
    for path in paths:
        if path.exists() and not path.is_dir():
            raise UserError(
                f"{path}: must be a run directory, a sweep or a folder of them; got a file"
            )
        if not path.exists() and not path.absolute().parent.is_dir():
            raise UserError(f"{path}: the folder {path.absolute().parent} does not exist")
