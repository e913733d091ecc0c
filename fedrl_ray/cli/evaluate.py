"""The command `evaluate`, a thin layer over the library; imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, Overrides, print_json


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(
            help="Run directory; or, with --config, a policy: what `export` wrote, an ONNX file, "
            "an RLModule's folder, a Stable-Baselines3 zip."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="Experiment file whose test grid a policy is put on.")
    ] = None,
    overrides: Overrides = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Read a policy whose file may run code.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a policy on a test grid: the newest checkpoint of a run, or one from elsewhere."""
    from ..export.evaluate import evaluate_command
    from .progress import print_evaluation

    evaluation = evaluate_command(path, config, overrides or [], trust_pickle=trust_pickle)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        print_evaluation(evaluation.to_dict())
