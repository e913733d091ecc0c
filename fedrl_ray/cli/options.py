"""Options that several commands have, and how commands print JSON."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Restartable = Annotated[
    bool,
    typer.Option(
        "--restartable", help="Go on where the output ends, or begin: for jobs that are run again."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]


def print_json(data: Any) -> None:
    """Print a result as one line of JSON."""
    from ..common.json_values import nan_as_null

    typer.echo(json.dumps(nan_as_null(data)))
