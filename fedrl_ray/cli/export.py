"""The command `export`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import Json, print_json


def export(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    output: Annotated[Path, typer.Argument(help="Folder to create.")],
    to: Annotated[
        Literal["rllib", "torch", "onnx"],
        typer.Option(help="Format: an RLModule, a program of torch.export, or an ONNX file."),
    ],
    checkpoint: Annotated[
        int | None, typer.Option(help="Round of the checkpoint; default: the newest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run's global policy for other programs, with a model card."""
    from ..common.console import print_result
    from ..export.export_run import export_run

    card = export_run(run, output, to=to, checkpoint=checkpoint)
    if as_json:
        print_json(card)
    else:
        print_result(f"{output}: {to} policy, checked on {card['agreement']['observations']:,} "
                   "observations; see its README.md")  # fmt: skip
