"""The command `evaluate`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, Overrides, print_json


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(
            help="Run directory; or, with --config, a policy: a folder that `export` wrote, an "
            "ONNX file, the folder of an RLModule, or a zip file of Stable-Baselines3."
        ),
    ],
    config: Annotated[
        str | None,
        typer.Option(help="Experiment file, or preset, with the test grid for a policy."),
    ] = None,
    overrides: Overrides = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Read policy files that may run code.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score the newest checkpoint of a run, or the policy of another program, on a test grid."""
    from ..export.evaluate import evaluate_command
    from .progress import print_evaluation

    evaluation = evaluate_command(path, config, overrides or [], trust_pickle=trust_pickle)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        print_evaluation(evaluation.to_dict())
