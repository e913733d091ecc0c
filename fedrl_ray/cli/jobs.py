"""The commands for jobs. Each is a thin layer over the library; imports wait until needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.errors import UserError

if TYPE_CHECKING:
    from ..jobs.records import Job

app = typer.Typer()

Address = Annotated[
    str | None,
    typer.Option(help="Job server of the cluster, http://HEAD:8265; or RAY_API_SERVER_ADDRESS."),
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="As `submit` and `status` name it.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Follow = Annotated[bool, typer.Option("--follow", help="Show the log until the job has ended.")]
Image = Annotated[
    bool, typer.Option("--image", help="The cluster has this package: send no wheel of it.")
]


@app.command()
def submit(
    config: Annotated[Path, typer.Argument(help="Experiment file, YAML.")],
    storage: Annotated[
        str, typer.Option(help="Folder that every node mounts, or a URI; results go to its NAME.")
    ],
    address: Address = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Run its section `sweep`.")] = False,
    follow: Follow = False,
    image: Image = False,
    include: Annotated[
        list[Path] | None,
        typer.Option(help="A file or folder for the job's working directory; repeatable."),
    ] = None,
    job_id: Annotated[
        str | None, typer.Option("--id", help="Name of the job; default NAME-DATE-TIME.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train or sweep on a Ray cluster, as a job of it; submitted again, it goes on."""
    from ..jobs import server, show, submission

    if as_json and follow:
        raise UserError("--json and --follow: choose one; `logs JOB --follow` follows later")
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
        _print(show.fields(client, job))
    else:
        show.introduce(client, job)
    if follow:
        _follow(client, job)


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Default: all.")] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """What has become of a job, or of all jobs of ours on a cluster."""
    from ..jobs import records, server, show

    client = server.connect(address)
    if job is None:
        found = records.jobs(client)
        _print([show.fields(client, j) for j in found]) if as_json else show.table(client, found)
        return
    one = show.fields(client, records.find(client, job))
    _print(one) if as_json else show.details(one)


@app.command()
def logs(job: JobId, address: Address = None, follow: Follow = False) -> None:
    """The output of a job, so far or until it has ended."""
    from ..jobs import records, server

    client = server.connect(address)
    found = records.find(client, job)
    if follow:
        _follow(client, found)
        return
    with records.reaching(client):
        typer.echo(client.get_job_logs(job), nl=False)


@app.command()
def stop(
    job: JobId,
    address: Address = None,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = True,
    as_json: Json = False,
) -> None:
    """End a job after its round, with a checkpoint; submitted again, it goes on."""
    from ..jobs import records, server, show
    from ..jobs.stop import stop as stop_job

    client = server.connect(address)
    found = records.find(client, job)
    if found.over:
        show.remark(f"job {job} has ended already: {found.status.lower()}")
    else:
        show.remark(f"stopping {job} after this round, to write a checkpoint")
        found = stop_job(client, found, wait=wait)
    one = show.fields(client, found)
    _print(one) if as_json else show.details(one)


@app.command()
def fetch(
    job: JobId,
    address: Address = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to make; default runs/ with the same last name.")
    ] = None,
    checkpoints: Annotated[bool, typer.Option(help="With the checkpoints.")] = True,
    through_job: Annotated[
        bool, typer.Option("--through-job", help="Through the cluster, whatever is seen from here.")
    ] = False,
    image: Image = False,
) -> None:
    """Bring a job's run or sweep directory here, to report on it."""
    from ..jobs import records, server
    from ..jobs.fetch import fetch as fetch_job
    from ..storage import locations

    client = server.connect(address)
    found = records.find(client, job)
    name = locations.name_of(locations.parse(found.output))
    target = Path("runs", name) if output is None else output
    source = fetch_job(
        client,
        found,
        target,
        checkpoints=checkpoints,
        through_job=through_job,
        image=image,
    )
    typer.echo(f"fetched  {target} (from {source})")
    typer.echo(f"report   fedrl-ray report {target}")


def _follow(client: Any, job: Job) -> None:
    """Until the job ends, with its status as ours; Ctrl-C leaves it running."""
    from ..jobs import records, show
    from ..jobs.follow import follow

    try:
        follow(client, job.id, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        again = f"{show.command(client, 'logs', job.id)} --follow"
        show.remark(f"\njob {job.id} goes on; to take it up again: {again}")
        raise typer.Exit(130) from None
    ended = records.find(client, job.id)
    show.remark(f"job {job.id}: {ended.status.lower()}")
    raise typer.Exit(0 if ended.status == "SUCCEEDED" else ended.exit_code or 1)


def _print(data: Any) -> None:
    typer.echo(json.dumps(data))
