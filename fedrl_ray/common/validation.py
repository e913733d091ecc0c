"""Short texts for values and for validation errors of files that no person writes."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError


def first_violation(error: ValidationError) -> str:
    """Return the first rule that a file breaks, with its location and the value."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "it"
    return f"{where}: {first['msg']}; got {shortened(first['input'])}"


def shortened(value: Any) -> str:
    """Return a value's repr, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
