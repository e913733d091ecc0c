"""The command `report`, a thin layer over the library; imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    paths: Annotated[list[Path], typer.Argument(help="Run directories, sweeps, folders of them.")],
    output: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write one offline HTML file on runs and sweeps."""
    from ..reports.page import write_report

    typer.echo(f"report: {write_report(paths, output)}")
