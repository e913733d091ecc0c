"""Conversion of nested dictionaries of arrays to flat ones and back.

`{"q": {"w": x}}` becomes `{"q/w": x}`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .types import Array


def join(parts: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """Prefix every name with the name of its part."""
    return {f"{part}/{name}": x for part, named in parts.items() for name, x in named.items()}


def select(flat: Mapping[str, Array], part: str) -> dict[str, Array]:
    """Return the entries of one part without its prefix."""
    prefix = f"{part}/"
    return {name[len(prefix) :]: x for name, x in flat.items() if name.startswith(prefix)}
