"""The command line. Each command is a thin layer over the library; imports wait until needed."""

from __future__ import annotations

import os
import sys

import typer

from ..common.errors import RunError, UserError, printable
from . import chaos, jobs
from .dashboard import dashboard
from .describe import describe, list_
from .evaluate import evaluate
from .export import export
from .report import report
from .sweep import sweep
from .train import train

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Robust federated reinforcement learning over heterogeneous environments, on Ray.",
)

app.add_typer(jobs.app)
app.add_typer(chaos.app)

for function in (train, sweep, evaluate, export, report, dashboard, describe):
    app.command()(function)
app.command("list")(list_)


def main() -> None:
    """Entry point: a user's mistake is one line and status 2, a run that failed is status 1."""
    sys.path.insert(0, os.getcwd())  # `factory: my_module:make` finds the user's own files
    try:
        app()
    except UserError as error:
        _fail(error, 2)
    except RunError as error:
        _fail(error, 1)
    except BrokenPipeError:
        sys.stderr.close()
    except MemoryError as error:
        _fail(UserError(f"not enough memory for what is asked: {error}"), 2)
    except OSError as error:  # a full disk, a folder that cannot be written
        _fail(error, 1)


def _fail(error: BaseException, status: int) -> None:
    # Only a run's error may be of more lines: the traceback of a user's own code.
    lines = str(error).split("\n") if isinstance(error, RunError) else [str(error)]
    text = "\n".join(map(printable, lines))
    typer.echo(f"error: {text}", err=True)
    sys.exit(status)
