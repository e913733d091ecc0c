"""Locations of runs: a folder, or a URI of any file system that pyarrow or fsspec knows.

A folder is used directly. Behind a URI, files are uploaded and downloaded whole: nothing there can
be renamed or appended to. A file that marks a set of files as complete is therefore uploaded last.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit

from ..common.errors import RunError, UserError, flattened
from ..common.paths import home_for_tilde
from . import uris

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

Location = Path | str
"""A Path for a folder that this machine has or mounts, a URI for anything else."""
L = TypeVar("L", bound=Location)


def parse(text: str, key: str = "--output") -> Location:
    """Return the location that a user wrote, without contacting any storage.

    `~` is the home directory. Raises UserError: no file system knows the URI, or it holds a secret.
    Errors name `key`.
    """
    if "://" not in text:
        return home_for_tilde(Path(text))
    parts = uris.require_usable(text, key)
    if parts.scheme != "file":
        return text.rstrip("/")
    if parts.netloc not in ("", "localhost"):
        raise UserError(f"{key}: must have the form file:///PATH for a folder; got {text!r}")
    return Path(parts.path)


def child(location: L, *names: str) -> L:
    """Return a location inside another."""
    if isinstance(location, Path):
        return location.joinpath(*names)
    place, mark, query = str(location).partition("?")
    return cast(L, "/".join([place.rstrip("/"), *names]) + mark + query)


def name_of(location: Location) -> str:
    """Return the last part of a location's path."""
    path = location if isinstance(location, Path) else Path(urlsplit(location).path)
    return path.name


def filesystem(uri: str, key: str = "storage") -> tuple[FileSystem, str]:
    """Return a pyarrow file system for a URI, and the path in it. Raises UserError: there is none.

    fsspec provides the file system if pyarrow has none of its own.
    """
    import pyarrow as pa
    import pyarrow.fs as pf

    try:
        found: tuple[FileSystem, str] = pf.FileSystem.from_uri(uri)
        return found
    except (
        pa.ArrowInvalid,
        OSError,
    ) as error:  # pyarrow has no such file system, or cannot reach it
        reason = "" if isinstance(error, pa.ArrowInvalid) else f"{flattened(error)}; "
    try:
        import fsspec

        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{key}: no file system for {uri!r}: {reason}{flattened(error)}") from None
    return pf.PyFileSystem(pf.FSSpecHandler(other)), path


def exists(location: Location) -> bool:
    """Return true if a file or folder exists. Raises RunError: the storage does not answer."""
    if isinstance(location, Path):
        return location.exists()
    from pyarrow.fs import FileType

    with _reaching(location):
        fs, path = filesystem(location)
        return bool(fs.get_file_info(path).type != FileType.NotFound)


def names(location: Location) -> list[str]:
    """Return the sorted paths of all files in a location, relative to it."""
    if isinstance(location, Path):
        found = [p for p in location.rglob("*") if p.is_file()]
        return sorted(str(p.relative_to(location)) for p in found)
    from pyarrow.fs import FileSelector, FileType

    with _reaching(location):
        fs, path = filesystem(location)
        selector = FileSelector(path, recursive=True, allow_not_found=True)
        infos = [i for i in fs.get_file_info(selector) if i.type == FileType.File]
    return sorted(str(Path(i.path).relative_to(path)) for i in infos)


def remove(location: Location) -> None:
    """Remove a folder and its content, if it exists."""
    if isinstance(location, Path):
        shutil.rmtree(location, ignore_errors=True)
    elif exists(location):
        with _reaching(location):
            fs, path = filesystem(location)
            fs.delete_dir(path)


def remove_file(location: str) -> None:
    """Remove the file behind a URI, if it exists."""
    with contextlib.suppress(UserError), _reaching(location):
        fs, path = filesystem(location)
        fs.delete_file(path)


def copy_file(source: Location, target: Location, name: str) -> None:
    """Copy a file from one location into another."""
    if isinstance(source, Path) and isinstance(target, Path):
        shutil.copyfile(source / name, target / name)
    else:
        with reading(source, [name]) as found, writing(target) as aside:
            shutil.copyfile(found / name, aside / name)


def put(folder: Path, files: Collection[str], uri: str) -> None:
    """Upload files of a folder to a URI, in order. Raises RunError: the storage does not answer.

    A failed upload may leave a truncated file there, which its sha256 in the manifest reveals.
    """
    with _reaching(uri):
        fs, root = filesystem(uri)
        for parent in sorted({str(Path(root, name).parent) for name in files}):
            fs.create_dir(parent, recursive=True)
        for name in files:
            with fs.open_output_stream(str(Path(root, name)), compression=None) as sink:
                sink.upload((folder / name).open("rb"))


def get(uri: str, files: Collection[str], folder: Path) -> None:
    """Download files from a URI into a folder. Raises RunError: the storage does not answer."""
    with _reaching(uri):
        fs, root = filesystem(uri)
        for name in files:
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{uri}: files must lie inside its folder; got {name!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with fs.open_input_file(str(Path(root, name))) as source:
                source.download(str(target))


def download(location: Location, folder: Path, *, without: str | None = None) -> None:
    """Copy all files of a location into a folder, except paths that begin with `without`.

    A run that goes on may delete a file meanwhile, which is then left out.
    """
    wanted = [n for n in names(location) if without is None or not n.startswith(without)]
    if isinstance(location, str):
        with contextlib.suppress(UserError):
            get(location, wanted, folder)
            return
    for name in wanted:  # one by one, to find out which one cannot be read
        try:
            if isinstance(location, str):
                get(location, [name], folder)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(location / name, folder / name)
        except (UserError, FileNotFoundError):
            if exists(child(location, name)):
                raise


@contextlib.contextmanager
def writing(location: Location) -> Iterator[Path]:
    """Yield a folder to write files into. For a URI, they are uploaded if the block succeeds."""
    if isinstance(location, Path):
        location.mkdir(parents=True, exist_ok=True)
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as aside:
        yield Path(aside)
        put(Path(aside), names(Path(aside)), location)


@contextlib.contextmanager
def reading(location: Location, files: Collection[str]) -> Iterator[Path]:
    """Yield a folder that holds these files of a location."""
    if isinstance(location, Path):
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as aside:
        get(location, files, Path(aside))
        yield Path(aside)


@contextlib.contextmanager
def _reaching(uri: str) -> Iterator[None]:
    """Turn errors of the storage into one line that names the URI."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{uri}: not found: {flattened(error)}") from None
    except NotImplementedError:
        raise UserError(f"{uri}: this kind of storage can be read but not written") from None
    except OSError as error:
        raise RunError(f"{uri}: the storage does not answer: {flattened(error)}") from None
