"""Rules for the text of a storage URI: its scheme is known, and it holds no secret.

Nothing here contacts the storage. Missing packages or credentials show when the storage is used,
because the machine that submits a job may have no access to the job's storage.
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
    """Return the parts of a URI. Raises UserError: no file system knows it, or it holds a secret.

    key: the configuration key or option that errors name.
    """
    shown = without_secrets(uri)
    if shown != uri:
        raise UserError(
            f"{key}: must not hold a password, key or token, because logs would show it; "
            f"got {shown!r}; put secrets into the environment or into the provider's own files"
        )
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise UserError(f"{key}: must be a URI; got {uri!r}: {error}") from None
    known = _schemes()
    if parts.scheme not in known:
        hint = nearest(parts.scheme, known)
        raise UserError(
            f"{key}: must have a scheme that pyarrow or fsspec knows; got {uri!r}{hint}"
        )
    somewhere = (parts.netloc + parts.path).strip("/")
    if not somewhere or "::" in uri or parts.fragment or ".." in parts.path.split("/"):
        raise UserError(f"{key}: must name one place, without `::`, `#` and `..`; got {uri!r}")
    return parts


def without_secrets(uri: str) -> str:
    """Return a URI that may be shown: `...` replaces passwords and a query with secret keys."""
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
    except ImportError:  # only Ray brings fsspec
        return set(_OF_PYARROW)
    return {*_OF_PYARROW, *known_implementations}
