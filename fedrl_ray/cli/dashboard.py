"""The command `dashboard`, a thin layer over the library; imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    paths: Annotated[list[Path], typer.Argument(help="Run directories, sweeps, folders of them.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8050,
    host: Annotated[str, typer.Option(help="Address to listen on; others have no password.")] = (
        "127.0.0.1"
    ),
) -> None:
    """Show the report in the browser, live, while runs and sweeps go on."""
    from ..dashboard.serve import dashboard as serve

    serve(paths, host, port)
