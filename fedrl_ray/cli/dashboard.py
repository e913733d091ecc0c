"""The command `dashboard`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    paths: Annotated[
        list[Path], typer.Argument(help="Run directories, sweep directories, or folders of them.")
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port.")
    ] = 8050,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; the page has no password, so keep it local."),
    ] = "127.0.0.1",
) -> None:
    """Show a live report in the browser while runs and sweeps go on."""
    from ..dashboard.serve import dashboard as serve

    serve(paths, host, port)
