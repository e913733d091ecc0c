"""The command `chaos`, a thin layer over the library. Slow imports wait until they are needed."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ..common.exits import stop_at_once
from .command import PrintingCommand
from .options import Config, Json, Overrides, print_json

app = typer.Typer()


@app.command(cls=PrintingCommand)
def chaos(
    config: Config,
    faults: Annotated[
        str | None,
        typer.Option(help="Faults, separated by commas (see `fedrl-ray list`); default: all."),
    ] = None,
    policy: Annotated[str, typer.Option(help="Failure policy: rewind, continue or both.")] = "both",
    nodes: Annotated[int, typer.Option(min=2, max=16, help="Number of nodes.")] = 3,
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder that keeps the runs; default: they are deleted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Inject faults into runs on a throw-away cluster on this machine, and compare the results."""
    from ..chaos.campaign import Chaos, ChaosOptions, cases
    from ..chaos.table import table
    from ..common.console import console, notes

    signal.signal(signal.SIGTERM, stop_at_once)  # so that the cluster ends with us
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
        print_json([result.to_dict() for result in results])
    else:
        console.print(table(results))
    raise typer.Exit(1 if any(result.broken for result in results) else 0)
