"""The command line. Each command is a thin layer over the library; imports wait until needed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .chaos import cli as chaos
from .errors import RunError, UserError, printable
from .jobs import cli as jobs

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Robust federated reinforcement learning over heterogeneous environments, on Ray.",
)

app.add_typer(jobs.app)
app.add_typer(chaos.app)

Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Restartable = Annotated[
    bool,
    typer.Option(
        "--restartable", help="Go on where the output ends, or begin: for jobs that are run again."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="Experiment file, YAML.")],
    overrides: Overrides = None,
    output: Annotated[
        str | None, typer.Option(help="Run directory, or a URI (s3://...); default runs/NAME.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the newest checkpoint.")] = False,
    restartable: Restartable = False,
    any_profile: Annotated[
        bool, typer.Option(help="Resume even under other versions or another processor.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train one federation; ends with a report to open."""
    from . import experiments

    experiment = experiments.load(config, overrides or [])
    from . import storage
    from .train_command import TrainOptions, train_run

    options = TrainOptions(
        output=None if output is None else storage.parse(output),
        resume=resume,
        restartable=restartable,
        any_profile=any_profile,
        progress=not (quiet or as_json),
        as_json=as_json,
        command=["fedrl-ray", "train", str(config)]
        + [part for text in overrides or [] for part in ("--set", text)],
    )
    raise typer.Exit(train_run(experiment, options))


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(help="Experiment file with a section `sweep`.")],
    overrides: Overrides = None,
    output: Annotated[
        str | None, typer.Option(help="Sweep directory; default runs/sweep-NAME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on: finished trials are kept, others resume.")
    ] = False,
    restartable: Restartable = False,
    retry_failed: Annotated[
        bool, typer.Option(help="With --resume: run failed trials again.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train every point of the section `sweep` with Ray Tune; ends with a report to open."""
    from . import experiments

    experiment = experiments.load(config, overrides or [])
    from .sweeps.command import SweepOptions, folder_of, sweep_command

    options = SweepOptions(
        source=str(config),
        output=None if output is None else folder_of(output),
        resume=resume,
        restartable=restartable,
        retry_failed=retry_failed,
        show=not (quiet or as_json),
        as_json=as_json,
        command=["fedrl-ray", "sweep", str(config)]
        + [part for text in overrides or [] for part in ("--set", text)],
    )
    raise typer.Exit(sweep_command(experiment, options))


@app.command()
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
    from .evaluate_command import evaluate_command
    from .terminal import print_evaluation

    evaluation = evaluate_command(path, config, overrides or [], trust_pickle=trust_pickle)
    if as_json:
        _print_json(evaluation.to_dict())
    else:
        print_evaluation(evaluation.to_dict())


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    output: Annotated[Path, typer.Argument(help="Folder to make.")],
    to: Annotated[
        Literal["rllib", "torch", "onnx"],
        typer.Option(help="An RLModule, a program of torch.export, or an ONNX file."),
    ],
    checkpoint: Annotated[
        int | None, typer.Option(help="Round of the checkpoint; default the newest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run's global policy for other programs, with a model card."""
    from .export.command import export_run

    card = export_run(run, output, to=to, checkpoint=checkpoint)
    if as_json:
        _print_json(card)
    else:
        typer.echo(f"{output}: {to} policy, checked on {card['agreement']['observations']:,} "
                   "observations; read its README.md")  # fmt: skip


@app.command()
def report(
    paths: Annotated[list[Path], typer.Argument(help="Run directories, sweeps, folders of them.")],
    output: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write one offline HTML file on runs and sweeps."""
    from .reports.page import write_report

    typer.echo(f"report: {write_report(paths, output)}")


@app.command()
def dashboard(
    paths: Annotated[list[Path], typer.Argument(help="Run directories, sweeps, folders of them.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8050,
    host: Annotated[str, typer.Option(help="Address to listen on; others have no password.")] = (
        "127.0.0.1"
    ),
) -> None:
    """Show the report in the browser, live, while runs and sweeps go on."""
    from .dashboard.command import dashboard as serve

    serve(paths, host, port)


@app.command("list")
def list_() -> None:
    """The learners, aggregators, environments and presets there are."""
    from .describe import catalogue

    typer.echo(catalogue())


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="A plug-in, a section of the file, or a preset.")],
) -> None:
    """Keys, defaults and meaning of a plug-in or of a section; the content of a preset."""
    from .describe import describe as text

    typer.echo(text(name))


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


def _print_json(data: Any) -> None:
    from .run_directory import plain

    typer.echo(json.dumps(plain(data)))
