"""Options that several commands share, and their output as JSON."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Config = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="Experiment file, YAML; or the name of a preset."),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print only the result, as JSON.")]
Restartable = Annotated[
    bool,
    typer.Option(
        "--restartable",
        help="Resume if the output exists, begin otherwise: for jobs that may be restarted.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only the result, no progress.")]


def print_json(data: Any) -> None:
    """Print a result as one line of JSON."""
    from ..common.console import print_result
    from ..common.json_values import nan_as_null

    print_result(json.dumps(nan_as_null(data)))
