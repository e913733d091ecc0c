"""The command `sweep`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Config, Json, Overrides, Quiet, Restartable


def sweep(
    config: Config,
    overrides: Overrides = None,
    output: Annotated[
        str | None, typer.Option(help="Sweep directory; default: runs/sweep-NAME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Keep the finished trials and resume the others.")
    ] = False,
    restartable: Restartable = False,
    retry_failed: Annotated[
        bool, typer.Option(help="Run failed trials again; needs --resume.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train every point of the section `sweep` with Ray Tune, and write a report."""
    from ..config import loading

    experiment = loading.load(config, overrides or [])
    from ..sweeps.sweep import SweepOptions, folder_of
    from .sweep_flow import sweep_command

    options = SweepOptions(
        source=config,
        output=None if output is None else folder_of(output),
        resume=resume,
        restartable=restartable,
        retry_failed=retry_failed,
        show=not (quiet or as_json),
        as_json=as_json,
        command=["fedrl-ray", "sweep", config]
        + [part for text in overrides or [] for part in ("--set", text)],
    )
    raise typer.Exit(sweep_command(experiment, options))
