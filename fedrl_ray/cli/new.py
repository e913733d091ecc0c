"""The command `new`: a starter project, copied from the folder `starter` beside this file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..common.errors import UserError

STARTER = Path(__file__).parent / "starter"


def new(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to create; it may exist if it is empty.")
    ],
) -> None:
    """Write a starter project: an environment of your own, an experiment, a sweep, a README."""
    from ..common.console import print_result

    try:
        write_starter(directory)
    except OSError as error:
        raise UserError(f"{directory}: {error.strerror}") from None
    print_result(f"{directory}: {', '.join(files())}; to train:")
    print_result(f"    cd {shlex.quote(str(directory))} && fedrl-ray train experiment.yaml")


def files() -> list[str]:
    """Return the names of the files of a starter project."""
    # pip compiles the environment when it installs a wheel, which leaves a folder __pycache__
    return sorted(path.name for path in STARTER.iterdir() if path.is_file())


def write_starter(folder: Path) -> None:
    """Write the starter project. Raises UserError for a folder that is not empty, and OSError."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: must be a new or an empty folder; it is a file")
    held = next(folder.iterdir(), None) if folder.exists() else None
    if held is not None:
        raise UserError(f"{folder}: must be a new or an empty folder; it holds {held.name!r}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in files():
        # the content alone: the files of an installation may be read-only
        (folder / name).write_bytes((STARTER / name).read_bytes())
