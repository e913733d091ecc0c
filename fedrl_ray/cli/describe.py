"""The commands `list` and `describe`. Slow imports wait until they are needed."""

from __future__ import annotations

from typing import Annotated

import typer


def list_() -> None:
    """List all plug-ins, faults and presets."""
    from .catalogue import catalogue

    typer.echo(catalogue())


def describe(
    name: Annotated[
        str, typer.Argument(help="A plug-in, a section of the experiment file, or a preset.")
    ],
) -> None:
    """Show the keys of a plug-in or section with defaults and meaning, or the text of a preset."""
    from .catalogue import describe as text

    typer.echo(text(name))
