"""The commands for jobs, thin layers over the library. Slow imports wait until needed."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.errors import UserError
from .command import Command, PrintingCommand
from .options import Config, Json, Overrides, print_json

if TYPE_CHECKING:
    from ..jobs.records import Job

app = typer.Typer()

Address = Annotated[
    str | None,
    typer.Option(
        help="Job server of the cluster, http://HEAD:8265; default: RAY_API_SERVER_ADDRESS."
    ),
]
JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="Id of the job, as `submit` and `status` print it.")
]
Follow = Annotated[bool, typer.Option("--follow", help="Show the log until the job has ended.")]
Image = Annotated[
    bool, typer.Option("--image", help="Send no wheel: the cluster's image has this package.")
]


@app.command(cls=Command)
def submit(
    config: Config,
    storage: Annotated[
        str,
        typer.Option(help="Folder that every node mounts, or a URI; results go to STORAGE/NAME."),
    ],
    address: Address = None,
    overrides: Overrides = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Run the section `sweep`.")] = False,
    follow: Follow = False,
    image: Image = False,
    include: Annotated[
        list[Path] | None,
        typer.Option(help="File or folder for the job's working directory; repeatable."),
    ] = None,
    job_id: Annotated[
        str | None, typer.Option("--id", help="Id of the job; default: NAME-DATE-TIME.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train or sweep as a job of a Ray cluster. The same command again resumes it."""
    from ..jobs import server, show, submission

    if as_json and follow:
        raise UserError(
            "--json and --follow: must not be given together; `logs JOB --follow` shows the log "
            "later"
        )
    wanted = submission.Submission(
        config=config,
        overrides=overrides or [],
        storage=storage,
        sweep=sweep,
        image=image,
        job_id=job_id,
        include=include or [],
    )
    experiment = submission.load(wanted)
    submission.output_of(experiment, wanted)
    client = server.connect(address)
    job = submission.submit(client, experiment, wanted)
    if as_json:
        print_json(show.fields(client, job))
    else:
        show.introduce(client, job)
    if follow:
        _follow(client, job)


@app.command(cls=PrintingCommand)
def status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Id of the job; default: all jobs.")
    ] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show the status of a job, or of all fedrl-ray jobs of a cluster."""
    from ..jobs import records, server, show

    client = server.connect(address)
    if job is None:
        found = records.jobs(client)
        if as_json:
            print_json([show.fields(client, one) for one in found])
        else:
            show.table(client, found)
        return
    one = show.fields(client, records.find(client, job))
    print_json(one) if as_json else show.details(one)


@app.command(cls=PrintingCommand)
def logs(job: JobId, address: Address = None, follow: Follow = False) -> None:
    """Print the output of a job, so far or until it has ended."""
    from ..common.console import print_result
    from ..jobs import records, server

    client = server.connect(address)
    found = records.find(client, job)
    if follow:
        _follow(client, found)
        return
    with records.reaching(client):
        print_result(client.get_job_logs(job), end="")


@app.command(cls=Command)
def stop(
    job: JobId,
    address: Address = None,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = True,
    as_json: Json = False,
) -> None:
    """Stop a job after its round, with a checkpoint. Submitting it again resumes it."""
    from ..jobs import records, server, show
    from ..jobs.stop import stop as stop_job

    client = server.connect(address)
    found = records.find(client, job)
    if found.over:
        show.remark(f"job {job} has already ended: {found.status.lower()}")
    else:
        show.remark(f"stopping {job} after this round, to write a checkpoint")
        found = stop_job(client, found, wait=wait)
    one = show.fields(client, found)
    print_json(one) if as_json else show.details(one)


@app.command(cls=Command)
def fetch(
    job: JobId,
    address: Address = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder to create; default: runs/NAME, or runs/NAME-2, -3 and so on."),
    ] = None,
    checkpoints: Annotated[bool, typer.Option(help="Bring the checkpoints too.")] = True,
    through_job: Annotated[
        bool,
        typer.Option(
            "--through-job", help="Bring it through the cluster, even if it can be read from here."
        ),
    ] = False,
    image: Image = False,
) -> None:
    """Bring the run or sweep directory of a job to this machine, for a report."""
    from ..common.console import print_result
    from ..jobs import records, server
    from ..jobs.fetch import fetch as fetch_job
    from ..runs.default_output import claimed_output
    from ..storage import locations

    client = server.connect(address)
    found = records.find(client, job)
    name = locations.name_of(locations.parse(found.output))
    with claimed_output(name) if output is None else nullcontext(output) as target:
        source = fetch_job(
            client,
            found,
            target,
            checkpoints=checkpoints,
            through_job=through_job,
            image=image,
        )
    print_result(f"fetched  {target} (from {source})")
    print_result(f"report   fedrl-ray report {target}")


def _follow(client: Any, job: Job) -> None:
    """Show the log until the job ends, then exit with its status. Ctrl-C leaves it running."""
    from ..common.console import print_result
    from ..jobs import records, show
    from ..jobs.follow import follow

    def show_part(text: str) -> None:
        if not print_result(text, end=""):
            raise typer.Exit(0)

    try:
        follow(client, job.id, show_part)
    except KeyboardInterrupt:
        again = f"{show.command(client, 'logs', job.id)} --follow"
        show.remark(f"\njob {job.id} goes on; to show its log again: {again}")
        raise typer.Exit(130) from None
    ended = records.find(client, job.id)
    show.remark(f"job {job.id}: {ended.status.lower()}")
    raise typer.Exit(0 if ended.status == "SUCCEEDED" else ended.exit_code or 1)
