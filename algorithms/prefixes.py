"""Nested dictionaries of arrays as flat ones, `{"q": {"w": x}}` as `{"q/w": x}`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from .types import Array


def join(parts: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """Prefix every name with the name of its part."""
    return {f"{part}/{name}": x for part, named in parts.items() for name, x in named.items()}


def select(flat: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The entries of one part, its prefix removed."""
    prefix = f"{part}/"
    return {name[len(prefix) :]: x for name, x in flat.items() if name.startswith(prefix)}
