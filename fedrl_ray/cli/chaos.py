"""The command `chaos`, a thin layer over the library; imports wait until needed."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def chaos(
    config: Annotated[Path, typer.Argument(help="Experiment file, YAML.")],
    faults: Annotated[
        str | None, typer.Option(help="Names, separated by commas (`fedrl-ray list`); default all.")
    ] = None,
    policy: Annotated[str, typer.Option(help="rewind, continue or both.")] = "both",
    nodes: Annotated[int, typer.Option(min=2, max=16, help="Nodes of the cluster.")] = 3,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Keep the runs in this folder.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, nothing else.")
    ] = False,
) -> None:
    """Kill actors, nodes, the driver, the head ... of a throw-away cluster here, and compare."""
    from ..chaos.campaign import Chaos, ChaosOptions, cases
    from ..chaos.table import table
    from ..common.console import console, notes

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the cluster must not outlive us
    options = ChaosOptions(
        config=config,
        overrides=overrides or [],
        cases=cases(faults, policy),
        nodes=nodes,
        output=output,
    )
    results = []
    with closing(Chaos(options).results()) as found:
        for result in found:
            results.append(result)
            words = "; ".join(result.broken) or "as promised"
            notes.print(f"{result.fault}, {result.policy}: {words}", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps([result.to_dict() for result in results]))
    else:
        console.print(table(results))
    raise typer.Exit(1 if any(result.broken for result in results) else 0)
