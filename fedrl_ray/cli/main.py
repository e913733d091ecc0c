"""Entry point of the command line. Commands import the library only when they need it."""

from __future__ import annotations

import os
import sys

import typer

from ..common.errors import RunError, UserError, printable
from ..common.exits import StopAtOnce
from . import chaos, jobs
from .application import Application
from .dashboard import dashboard
from .describe import describe, list_
from .evaluate import evaluate
from .export import export
from .new import new
from .report import report
from .sweep import sweep
from .train import train
from .video import video

app = Application(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Robust federated reinforcement learning over heterogeneous environments, on Ray.",
)

app.add_typer(jobs.app)
app.add_typer(chaos.app)

for function in (train, sweep, evaluate, export, video, report, dashboard, describe, new):
    app.command()(function)
app.command("list")(list_)


def main() -> None:
    """Run a command. A mistake of the user is one line and status 2, a failed run status 1."""
    sys.path.insert(0, os.getcwd())  # so that `factory: my_module:make` finds the user's files
    try:
        app()
    except StopAtOnce as stop:
        sys.exit(stop.status)
    except UserError as error:
        _fail(error, 2)
    except RunError as error:
        _fail(error, 1)
    except BrokenPipeError:
        sys.stderr.close()
    except MemoryError as error:
        _fail(UserError(f"not enough memory for this experiment: {error}"), 2)
    except OSError as error:  # a full disk, a folder that cannot be written
        _fail(error, 1)


def _fail(error: BaseException, status: int) -> None:
    # Only a failed run may print several lines: the traceback of the user's own code.
    lines = str(error).split("\n") if isinstance(error, RunError) else [str(error)]
    text = "\n".join(map(printable, lines))
    typer.echo(f"error: {text}", err=True)
    sys.exit(status)
