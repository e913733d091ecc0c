"""Attributes of HTML elements whose names a Python keyword argument cannot hold."""

from __future__ import annotations

from typing import Any


def attributes(**given: Any) -> dict[str, Any]:
    """Return attributes with hyphens: data_at as data-at."""
    return {name.replace("_", "-"): value for name, value in given.items()}
