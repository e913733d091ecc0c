"""The commands `list` and `describe`; imports wait until needed."""

from __future__ import annotations

from typing import Annotated

import typer


def list_() -> None:
    """The learners, aggregators, environments and presets there are."""
    from .catalogue import catalogue

    typer.echo(catalogue())


def describe(
    name: Annotated[str, typer.Argument(help="A plug-in, a section of the file, or a preset.")],
) -> None:
    """Keys, defaults and meaning of a plug-in or of a section; the content of a preset."""
    from .catalogue import describe as text

    typer.echo(text(name))
