"""Bodies of requests: only a small one in the form that the page itself sends is read at all.

Everything else is refused with a status alone. Nothing of it is printed, quoted or kept.
"""

from __future__ import annotations

import contextlib
from typing import Any, NotRequired

from flask import Request
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

LIMIT = 1 << 20
"""Most bytes of a body. The page sends about 20 bytes per trial, and 50 per section."""

DRAINED = 16 << 20
"""Most bytes of a refused body that are read and dropped, so that its sender gets the answer."""

_BAD, _LENGTH_REQUIRED, _TOO_LARGE, _WRONG_TYPE = 400, 411, 413, 415


class _Known(TypedDict):
    version: NotRequired[int]
    sections: NotRequired[dict[str, tuple[str, bool]]]
    places: NotRequired[int]
    rows: NotRequired[list[str]]


class _Property(TypedDict):
    id: Any
    property: str
    value: NotRequired[Any]


class _Callback(TypedDict):
    """The part of Dash's message that Dash itself does not check."""

    output: str
    outputs: list[Any] | dict[str, Any]
    inputs: list[_Property | list[_Property]]
    state: NotRequired[list[_Property | list[_Property]]]
    changedPropIds: NotRequired[list[str]]


_KNOWN, _CALLBACK = TypeAdapter(_Known), TypeAdapter(_Callback)


def refusal(request: Request) -> int | None:
    """Return the status that refuses a callback's body, such as 413; None if it may be answered."""
    if request.content_length is None:
        return _LENGTH_REQUIRED
    if request.content_length > LIMIT:
        _drain(request)
        return _TOO_LARGE
    if request.mimetype != "application/json":
        return _WRONG_TYPE
    try:
        _CALLBACK.validate_python(request.get_json())
    except Exception:  # whatever a body provokes: no JSON, no UTF-8, too deep, cut short, ...
        return _BAD
    return None


def is_known(value: Any) -> bool:
    """Return True if a value is the state that a browser sends back, `updates.Known`."""
    try:
        _KNOWN.validate_python(value)
    except ValidationError:
        return False
    return True


def _drain(request: Request) -> None:
    left = min(request.content_length or 0, DRAINED)
    with contextlib.suppress(OSError):
        while left and (chunk := request.environ["wsgi.input"].read(min(left, LIMIT))):
            left -= len(chunk)
