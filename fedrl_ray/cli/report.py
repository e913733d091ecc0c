"""The command `report`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    paths: Annotated[
        list[Path], typer.Argument(help="Run directories, sweep directories, or folders of them.")
    ],
    output: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write a report on runs and sweeps as one HTML file that works offline."""
    from ..common.console import print_result
    from ..reports.page import write_report

    print_result(f"report: {write_report(paths, output)}")
