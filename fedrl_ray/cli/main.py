"""Entry point of the command line. Commands import the library only when they need it."""

from __future__ import annotations

import os
import sys

import typer

from ..common import signals
from ..common.errors import RunError, UserError, printable
from ..common.exits import StopAtOnce
from ..common.modules import look_in_working_directory
from ..common.streams import lasting_streams, open_standard_descriptors
from . import chaos, jobs
from .command import Command, PrintingCommand
from .dashboard import dashboard
from .describe import describe, list_
from .evaluate import evaluate
from .export import export
from .new import new
from .report import report
from .sweep import sweep
from .train import train
from .video import video

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Robust federated reinforcement learning over heterogeneous environments, on Ray.",
)

app.add_typer(jobs.app)
app.add_typer(chaos.app)

for function in (train, sweep, export, video, report, dashboard, new):
    app.command(cls=Command)(function)
app.command(cls=PrintingCommand)(evaluate)
app.command(cls=PrintingCommand)(describe)
app.command("list", cls=PrintingCommand)(list_)

LEAST_COLUMNS = 20
"""Smallest width of a terminal that we believe `COLUMNS`: tables need some."""


def main() -> None:
    """Run a command. A mistake of the user is one line and status 2, a failed run status 1."""
    open_standard_descriptors()
    _check_columns()
    with lasting_streams(), signals.ending_at_once():
        try:
            _run()
        finally:
            _end_ray()


def _run() -> None:
    try:
        look_in_working_directory()  # so that `factory: my_module:make` finds the user's files
        app()
    except StopAtOnce as stop:
        sys.exit(stop.status)
    except UserError as error:
        _fail(error, 2)
    except RunError as error:
        _fail(error, 1)
    except MemoryError as error:
        _fail(UserError(f"not enough memory for this experiment: {error}"), 2)
    except OSError as error:  # a full disk, a folder that cannot be written
        _fail(error, 1)


def _end_ray() -> None:
    """End the Ray that this command has started, if any."""
    if local_ray := sys.modules.get("fedrl_ray.ray_cluster.local_ray"):
        local_ray.shut_down()


def _fail(error: BaseException, status: int) -> None:
    # Only a failed run may print several lines: the traceback of the user's own code.
    lines = str(error).split("\n") if isinstance(error, RunError) else [str(error)]
    text = "\n".join(map(printable, lines))
    sys.stderr.write(f"error: {text}\n")
    sys.exit(status)


def _check_columns() -> None:
    """Forget a width of the terminal in which nothing can be shown, such as 0."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < LEAST_COLUMNS:
        del os.environ["COLUMNS"]
