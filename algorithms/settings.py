"""The base of every schema: frozen, strict, and documented by its own field docstrings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class Settings(BaseModel):
    """A group of keys of the experiment file. `fedrl-ray describe` prints the field docstrings.

    Types are strict, so neither `true` nor `'7'` counts as a number. YAML cannot express two types,
    which are therefore converted: a list to a tuple, and 5e4 to a whole number.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _as_yaml_says_it(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {k: _read(v, fields[k].annotation) if k in fields else v for k, v in data.items()}


def _read(value: Any, annotation: Any) -> Any:
    types = _types_in(annotation)
    if tuple in types:
        value = _mapped(_as_tuple, value)
    if int in types and float not in types:
        value = _mapped(_as_int, value)
    return value


def _types_in(annotation: Any) -> list[Any]:
    """Return the types that an annotation consists of."""
    inner = [t for argument in get_args(annotation) for t in _types_in(argument)]
    return [get_origin(annotation) or annotation, *inner]


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply a function to a value, or to each value inside tuples and plain mappings."""
    if isinstance(value, dict):
        return {key: _mapped(function, inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_mapped(function, inner) for inner in value)
    return function(value)


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(inner) for inner in value) if isinstance(value, list) else value


def _as_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
