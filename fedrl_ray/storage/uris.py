"""What may stand in a URI of storage: a scheme that is known, and nothing secret.

Only the text is looked at. Whether this machine has the packages and credentials for it shows
where the storage is read: a job's storage need not be in reach of whoever submits the job.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, urlsplit

from ..common.errors import UserError
from ..common.spelling import nearest

_OF_PYARROW = ("file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
_PASSWORD = re.compile(r"//.*:.*@")
_SECRET = re.compile(
    r"secret|passw|token|signature|credential(?!_kind)|key|^(pwd|sig|sas|auth)$", re.IGNORECASE
)


def require_usable(uri: str, key: str) -> SplitResult:
    """The parts of a URI. Raises UserError for one that no file system takes, or that would write a
    secret into logs."""
    shown = without_secrets(uri)
    if shown != uri:
        raise UserError(
            f"{key}: a URI must not hold a password, key or token (it would be written into "
            f"logs); leave it to the environment or to the provider's own files, got {shown!r}"
        )
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise UserError(f"{key}: {uri!r} is no URI: {error}") from None
    known = _schemes()
    if parts.scheme not in known:
        hint = nearest(parts.scheme, known)
        raise UserError(f"{key}: neither pyarrow nor fsspec has a file system for {uri!r}{hint}")
    somewhere = (parts.netloc + parts.path).strip("/")
    if not somewhere or "::" in uri or parts.fragment or ".." in parts.path.split("/"):
        raise UserError(
            f"{key}: a URI must name one place, without `::`, `#` and `..`, got {uri!r}"
        )
    return parts


def without_secrets(uri: str) -> str:
    """A URI as it may be shown: passwords and values of secret keys are `...`."""
    place, mark, query = uri.partition("?")
    place = _PASSWORD.sub("//...@", place)
    if _PASSWORD.search(query) or any(map(_is_secret, parse_qs(query, keep_blank_values=True))):
        query = "..."
    return place + mark + query


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _schemes() -> set[str]:
    try:
        from fsspec.registry import known_implementations
    except ImportError:  # Ray brings it
        return set(_OF_PYARROW)
    return {*_OF_PYARROW, *known_implementations}
