"""The command `video`, a thin layer over the library. Slow imports wait until needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Json, Overrides, print_json


def video(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the videos; default: `videos` in the run.")
    ] = None,
    checkpoint: Annotated[
        int | None, typer.Option(help="Round of the checkpoint; default: the newest.")
    ] = None,
    episode: Annotated[
        int | None,
        typer.Option(help="Number of the episode, from 0; default: the one nearest to the mean."),
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Record the global policy in the nominal and in the worst test environment, as mp4 files."""
    from ..export.video import VideoOptions, record_videos

    options = VideoOptions(
        output=output, checkpoint=checkpoint, episode=episode, overrides=overrides or []
    )
    index = record_videos(run, options)
    if output is None:
        _update_report(run)
    if as_json:
        print_json(index)
    else:
        _announce(index, output or run / "videos")


def _announce(index: dict[str, Any], folder: Path) -> None:
    from ..common.console import console, notes

    for video in index["videos"]:
        console.print(
            f"{video['name']:<8} return {video['episode_return']:.2f} in {video['steps']} steps  "
            f"{folder / video['file']}",
            soft_wrap=True,
        )
        if video["episode_return"] != video["evaluation_return"]:
            notes.print(
                f"{video['name']}: the evaluation scored {video['evaluation_return']}, the video "
                f"shows {video['episode_return']}: the environment does not repeat an episode "
                "from its seed, or the run was evaluated on another machine",
                style="yellow",
                soft_wrap=True,
            )


def _update_report(run: Path) -> None:
    """Write the report of the run again, if it has one: it shows the videos."""
    from ..reports.page import write_report
    from .train_flow import REPORT

    if (run / REPORT).exists():
        write_report([run], run / REPORT)
