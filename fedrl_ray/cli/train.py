"""The command `train`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Config, Json, Overrides, Quiet, Restartable


def train(
    config: Config,
    overrides: Overrides = None,
    output: Annotated[
        str | None, typer.Option(help="Run directory, or a URI (s3://...); default: runs/NAME.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the newest checkpoint.")] = False,
    restartable: Restartable = False,
    any_profile: Annotated[
        bool, typer.Option(help="Resume even under other versions or on another processor.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train one federation and write a report."""
    from ..common.modules import look_in
    from ..config import loading
    from ..runs import run_directory
    from ..storage import locations

    location = None if output is None else locations.parse(output)
    if isinstance(location, Path):  # a run that goes on may have begun in another directory
        look_in(run_directory.modules_of(location))
    experiment = loading.load(config, overrides or [])
    from .train_flow import TrainOptions, train_run

    options = TrainOptions(
        output=location,
        resume=resume,
        restartable=restartable,
        any_profile=any_profile,
        progress=not (quiet or as_json),
        as_json=as_json,
        command=["fedrl-ray", "train", config]
        + [part for text in overrides or [] for part in ("--set", text)],
    )
    raise typer.Exit(train_run(experiment, options))
