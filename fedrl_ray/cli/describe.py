"""The commands `list` and `describe`. Slow imports wait until they are needed."""

from __future__ import annotations

from typing import Annotated

import typer


def list_() -> None:
    """List all plug-ins, faults and presets."""
    from ..common.console import print_result
    from .catalogue import catalogue

    print_result(catalogue())


def describe(
    name: Annotated[
        str, typer.Argument(help="A plug-in, a section of the experiment file, or a preset.")
    ],
) -> None:
    """Show the keys of a plug-in or section with defaults and meaning, or the text of a preset."""
    from ..common.console import print_result
    from .catalogue import describe as text

    print_result(text(name))
