"""Where runs lie: a folder, or a URI of any file system that pyarrow or fsspec knows.

A folder is used as it is. Behind a URI whole files are put and got: nothing there can be renamed
or appended to, so a file that is to be complete only with others is put last.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from ..common.errors import RunError, UserError
from . import uris

Location = Path | str
"""A folder of this machine (or mounted on it) as a Path; anything else as a URI."""
L = TypeVar("L", bound=Location)


def parse(text: str, key: str = "--output") -> Location:
    """What a user wrote; no storage is asked. Raises UserError for a URI that no file system takes,
    or that holds a secret."""
    if "://" not in text:
        return Path(text)
    parts = uris.require_usable(text, key)
    if parts.scheme != "file":
        return text.rstrip("/")
    if parts.netloc not in ("", "localhost"):
        raise UserError(f"{key}: a folder's URI is file:///PATH, got {text!r}")
    return Path(parts.path)


def child(location: L, *names: str) -> L:
    """A place inside another."""
    if isinstance(location, Path):
        return location.joinpath(*names)
    place, mark, query = str(location).partition("?")
    return cast(L, "/".join([place.rstrip("/"), *names]) + mark + query)


def name_of(location: Location) -> str:
    """The last part of a location."""
    path = location if isinstance(location, Path) else Path(urlsplit(location).path)
    return path.name


def filesystem(uri: str, key: str = "storage") -> tuple[Any, str]:
    """pyarrow's file system for a URI, fsspec's behind it where pyarrow has none of its own, and
    the path in it. Raises UserError."""
    import pyarrow as pa
    import pyarrow.fs as pf

    try:
        found: tuple[Any, str] = pf.FileSystem.from_uri(uri)
        return found
    except (pa.ArrowInvalid, OSError) as error:  # not one of pyarrow's own, or out of reach
        reason = "" if isinstance(error, pa.ArrowInvalid) else f"{_one_line(error)}; "
    try:
        import fsspec

        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{key}: no file system for {uri!r}: {reason}{_one_line(error)}") from None
    return pf.PyFileSystem(pf.FSSpecHandler(other)), path


def exists(location: Location) -> bool:
    """Whether a file or folder is there. Raises RunError where the storage does not answer."""
    if isinstance(location, Path):
        return location.exists()
    from pyarrow.fs import FileType

    with _reaching(location):
        fs, path = filesystem(location)
        return bool(fs.get_file_info(path).type != FileType.NotFound)


def names(location: Location) -> list[str]:
    """Paths of all files inside, relative to the location, in order."""
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
    """Remove a folder and what is in it; nothing happens where there is none."""
    if isinstance(location, Path):
        shutil.rmtree(location, ignore_errors=True)
    elif exists(location):
        with _reaching(location):
            fs, path = filesystem(location)
            fs.delete_dir(path)


def remove_file(location: str) -> None:
    """Remove a file; nothing happens where there is none."""
    with contextlib.suppress(UserError), _reaching(location):
        fs, path = filesystem(location)
        fs.delete_file(path)


def copy_file(source: Location, target: Location, name: str) -> None:
    """Copy a file of one location into another of the same kind."""
    if isinstance(source, Path) and isinstance(target, Path):
        shutil.copyfile(source / name, target / name)
    else:
        with reading(source, [name]) as found, writing(target) as aside:
            shutil.copyfile(found / name, aside / name)


def put(folder: Path, files: Collection[str], uri: str) -> None:
    """Copy files of a folder to a URI, in order. Raises RunError.

    One that breaks off may leave a file cut short there: sizes and sha256 are what tells.
    """
    with _reaching(uri):
        fs, root = filesystem(uri)
        for parent in sorted({str(Path(root, name).parent) for name in files}):
            fs.create_dir(parent, recursive=True)
        for name in files:
            with fs.open_output_stream(str(Path(root, name)), compression=None) as sink:
                sink.upload((folder / name).open("rb"))


def get(uri: str, files: Collection[str], folder: Path) -> None:
    """Copy files from a URI into a folder. Raises RunError."""
    with _reaching(uri):
        fs, root = filesystem(uri)
        for name in files:
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{uri}: names a file outside of its folder: {name!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with fs.open_input_file(str(Path(root, name))) as source:
                source.download(str(target))


def download(location: Location, folder: Path, *, without: str | None = None) -> None:
    """Everything under a location into a folder, but what begins with `without`."""
    wanted = [n for n in names(location) if without is None or not n.startswith(without)]
    if isinstance(location, str):
        get(location, wanted, folder)
        return
    for name in wanted:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(location / name, folder / name)


@contextlib.contextmanager
def writing(location: Location) -> Iterator[Path]:
    """A folder to write files into; behind a URI they are put when the block ends well."""
    if isinstance(location, Path):
        location.mkdir(parents=True, exist_ok=True)
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as aside:
        yield Path(aside)
        put(Path(aside), names(Path(aside)), location)


@contextlib.contextmanager
def reading(location: Location, files: Collection[str]) -> Iterator[Path]:
    """A folder that holds these files of a location."""
    if isinstance(location, Path):
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as aside:
        get(location, files, Path(aside))
        yield Path(aside)


@contextlib.contextmanager
def _reaching(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{uri}: not found: {_one_line(error)}") from None
    except NotImplementedError:
        raise UserError(f"{uri}: this kind of storage can be read, but not written") from None
    except OSError as error:
        raise RunError(f"{uri}: the storage does not answer: {_one_line(error)}") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
