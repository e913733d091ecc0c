"""Pydantic's errors as one line: full key, rule, value, and the nearest known key."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from ..common.spelling import nearest
from ..common.validation import shortened

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def explain_violation(error: ValidationError, model: type[BaseModel], *, prefix: str = "") -> str:
    """Return the first error of a validation, and the number of further ones."""
    errors = error.errors(include_url=False)
    first = max(errors, key=lambda e: (_is_unknown_key(e), _depth(e)))
    more = _further(errors, first, model, prefix)
    return _describe(first, model, prefix) + (f" (and {more} more)" if more else "")


def _describe(error: ErrorDetails, model: type[BaseModel], prefix: str) -> str:
    path = _path(error, model)
    key = ".".join([prefix, *path] if prefix else path) or "configuration"
    if _is_unknown_key(error):
        known = _fields_at(model, path[:-1])
        return f"{key}: unknown key{nearest(path[-1], known)}; known: {', '.join(known)}"
    if error["type"] == "missing":
        return f"{key}: required, but missing"
    if error["type"] == "union_tag_invalid":
        context = error["ctx"]
        return f"{key}.name: must be one of {context['expected_tags']}; got {context['tag']!r}"
    message = re.sub(r"^(Value error,|Input|String|Tuple|List|Dictionary) ", "", error["msg"])
    message = re.sub(r"^should ", "must ", message)
    whole_section = not prefix and len(path) == 1 and isinstance(error["input"], dict)
    if error["type"] == "value_error" and (not path or whole_section):
        return f"{key}: {message}"
    return f"{key}: {message}; got {shortened(error['input'])}"


def _is_unknown_key(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden"


def _depth(error: ErrorDetails) -> int:
    """Return a rank that is highest for the union branch that came furthest: a rule, not a type."""
    rules = ("greater", "less", "finite", "value_error", "pattern")
    return len(error["loc"]) + (2 if any(word in error["type"] for word in rules) else 0)


def _further(
    errors: Iterable[ErrorDetails], first: ErrorDetails, model: type[BaseModel], prefix: str
) -> int:
    """Return the number of errors at other keys; several branches of one union are one error."""
    depth = 1 if prefix else 2

    def key(error: ErrorDetails) -> tuple[str, ...]:
        """Return the key of an error, up to the depth that counts as one key."""
        return tuple(_path(error, model)[:depth])

    return len({key(e) for e in errors} - {key(first)})


def _path(error: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """Return the parts of the key at fault; an unknown key keeps the file's own word."""
    *loc, last = error["loc"] or ("",)
    if _is_unknown_key(error):
        return [*_key_path(tuple(loc), model), str(last)]
    return _key_path(error["loc"], model)


def _key_path(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Return the location without the names of union branches, which are no keys of the file."""
    path: list[str] = []
    current: Any = model
    for part in loc:
        fields = models_inside(current)
        if fields and isinstance(part, str):
            owner = next((m for m in fields if part in m.model_fields), None)
            if owner is not None:
                current = owner.model_fields[part].annotation
            elif part in _branches(fields) or _is_branch(part):
                continue
            path.append(part)
        elif isinstance(part, int):
            path.append(str(part))
        elif not _is_branch(part) and part not in _branches(models_inside(current)):
            path.append(part)
    return path


def _branches(models: list[type[BaseModel]]) -> set[str]:
    """Return pydantic's labels for the models of a union: their names, or their legal `name`."""
    allowed = [typing.get_args(m.model_fields["name"].annotation) for m in models
               if "name" in m.model_fields]  # fmt: skip
    return {m.__name__ for m in models} | {name for names in allowed for name in names}


def _is_branch(part: str) -> bool:
    """Return True for a label of pydantic: `float`, `constrained-int`, `tuple[...]` and so on."""
    return part in {"float", "int", "str", "bool", "none"} or any(c in part for c in "[(-")


def models_inside(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in typing.get_args(annotation) for m in models_inside(arg)]


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    current: list[type[BaseModel]] = [model]
    for part in path:
        current = (
            [
                inner
                for m in current
                if part in m.model_fields
                for inner in models_inside(m.model_fields[part].annotation)
            ]
            or [m for m in current if part in _branches([m])]
            or current
        )
    return list(dict.fromkeys(name for m in current for name in m.model_fields))
