"""One wheel of both packages for the nodes of a cluster, built from the installed files."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from ..config import presets

PACKAGES = ("algorithms", "fedrl_ray")
_DATE = (1980, 1, 1, 0, 0, 0)  # equal files make equal wheels


def build(folder: Path) -> Path:
    """Write the wheel into a folder and return its path.

    Ray installs the wheel with plain pip into a folder of its own. The wheel names no requirements,
    or pip would install torch and another Ray there. Ray uploads a wheel once per file name, so the
    build tag in the name is the hash of the content.
    """
    files = dict(sorted(_sources()))  # a checkout and an installed wheel give the same bytes
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)}\n".encode() + data)
    tag = f"0_{digest.hexdigest()[:16]}"
    version = distribution("fedrl-ray").version
    path = folder / f"fedrl_ray-{version}-{tag}-py3-none-any.whl"
    _write(path, files, f"fedrl_ray-{version}.dist-info", _metadata(version, tag))
    return path


def _sources() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file of the packages and of every preset.

    An installed wheel has the presets in the package, so it yields them twice.
    """
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations is not None
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*")):
            # __pycache__ holds what this machine compiled: Python's and Numba's files.
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{package}/{path.relative_to(root).as_posix()}", path.read_bytes()
    for path in presets.presets().values():
        yield f"fedrl_ray/{presets.FOLDER}/{path.name}", path.read_bytes()


def _metadata(version: str, tag: str) -> dict[str, str]:
    name = f"Metadata-Version: 2.1\nName: fedrl-ray\nVersion: {version}\n"
    kind = "Wheel-Version: 1.0\nGenerator: fedrl-ray\nRoot-Is-Purelib: true\n"
    return {"METADATA": name, "WHEEL": f"{kind}Tag: py3-none-any\nBuild: {tag}\n"}


def _write(path: Path, files: dict[str, bytes], folder: str, metadata: dict[str, str]) -> None:
    files = files | {f"{folder}/{name}": text.encode() for name, text in metadata.items()}
    lines = [f"{name},sha256={_hash(data)},{len(data)}" for name, data in files.items()]
    files[f"{folder}/RECORD"] = "\n".join([*lines, f"{folder}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
