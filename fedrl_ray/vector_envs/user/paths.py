"""Paths that name a part of a user's environment: `unwrapped.model.body_mass[2]`."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...common.errors import UserError, one_line

_KEYS = r"(?:\[[^\[\]]+\])*"
_NAME = rf"[^\W\d]\w*{_KEYS}"
_PATH = re.compile(rf"{_NAME}(?:\.{_NAME})*")
_PART = re.compile(r"\.?([^\W\d]\w*)|\[([^\[\]]+)\]")

Key = int | str | tuple[int, ...]


class Item(NamedTuple):
    """An element of an array or list, or the value of a mapping's key."""

    key: Key


class Path(NamedTuple):
    """A constructor argument (`config[density]`) or an attribute (`unwrapped.mass`).

    parts: attribute names and items, from the outside in.
    """

    text: str
    parts: tuple[str | Item, ...]

    @property
    def is_attribute(self) -> bool:
        """True for an attribute, which is written with a dot; False for an argument."""
        return sum(isinstance(part, str) for part in self.parts) > 1

    @property
    def argument(self) -> str:
        """Name of the constructor argument that the path starts with."""
        return str(self.parts[0])


class MissingPartError(LookupError):
    """A part of a path that does not exist: its owner, and the part."""

    def __init__(self, owner: Any, part: str | Item) -> None:
        super().__init__(part)
        self.owner, self.part = owner, part


def parse(text: str) -> Path:
    """Return a path. Raises ValueError: the text is none."""
    if not _PATH.fullmatch(text):
        raise ValueError(
            "must be an argument (length, config[density]) or a dotted path (unwrapped.mass, "
            "unwrapped.model.body_mass[2])"
        )
    found = _PART.findall(text)
    return Path(text, tuple(name or Item(_key(item)) for name, item in found))


def read(owner: Any, parts: tuple[str | Item, ...]) -> Any:
    """Return the object at the end of a path. Raises MissingPartError: a part does not exist."""
    for part in parts:
        owner = _step(owner, part)
    return owner


def number_of(value: Any) -> int | float | None:
    """Return a value as a Python number; None if it is none. Booleans are no numbers.

    A numpy or torch array without dimensions is a number.
    """
    plain = value.item() if getattr(value, "shape", None) == () else value
    return plain if isinstance(plain, (int, float)) and not isinstance(plain, bool) else None


def number_or_none(owner: Any, path: Path) -> int | float | None:
    """Return the number that an attribute or element holds; None if it is no number, or absent."""
    try:
        return number_of(read(owner, path.parts)) if path.is_attribute else None
    except MissingPartError:
        return None


def write(owner: Any, path: Path, value: float) -> None:
    """Set an attribute or an element, or call a method with the value.

    Raises MissingPartError: a part does not exist. Raises UserError: the place takes no value, or
    keeps another one. An exception of the user's own setter or method passes.
    """
    holder, last = read(owner, path.parts[:-1]), path.parts[-1]
    current = _step(holder, last)
    if callable(current) and not isinstance(last, Item):
        _require_one_argument(current, path)
        current(value)
        return
    try:
        if isinstance(last, Item):
            holder[_fitting(holder, last)] = value
        else:
            setattr(holder, last, value)
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        if _is_of_user(error):
            raise
        raise UserError(f"{_KEY}: {path.text!r} cannot be set: {one_line(error)}") from None
    kept = number_of(_step(holder, last))
    if kept is None or not math.isclose(kept, value, rel_tol=1e-6):  # it may be float32
        kind = _step(holder, last) if kept is None else f"{kept:g}"
        raise UserError(f"{_KEY}: {path.text!r} was set to {value:g} and holds {kind}")


_KEY = "environment.parameters"


def _require_one_argument(method: Callable[..., Any], path: Path) -> None:
    try:
        inspect.signature(method).bind(0.0)
    except TypeError as error:
        raise UserError(
            f"{_KEY}: {path.text!r} is called with the value, and does not take one: "
            f"{one_line(error)}"
        ) from None
    except ValueError:  # a method in C without a signature
        return


def _is_of_user(error: BaseException) -> bool:
    """Return true if code of the user raised an error, and not the assignment itself."""
    if type(error).__name__ == "FrozenInstanceError":  # of dataclasses and attrs, in Python
        return False
    inner = error.__traceback__
    while inner is not None and inner.tb_next is not None:
        inner = inner.tb_next
    return inner is not None and inner.tb_frame.f_code.co_filename != __file__


def with_item(argument: Any, parts: tuple[str | Item, ...], value: Any) -> Any:
    """Return a copy of an argument in which the item at the end of `parts` has a value.

    Mappings on the way that do not exist are made. Raises TypeError, IndexError: a part cannot be
    set.
    """
    if not parts:
        return value
    first, *rest = parts
    assert isinstance(first, Item)
    if argument is None or isinstance(argument, Mapping):
        held = dict(argument or {})
        key = _fitting(held, first)
        return held | {key: with_item(held.get(key), tuple(rest), value)}
    items = list(argument)
    items[int(first.key)] = with_item(items[int(first.key)], tuple(rest), value)  # type: ignore[arg-type]
    return items


def _step(owner: Any, part: str | Item) -> Any:
    try:
        if isinstance(part, Item):
            return owner[_fitting(owner, part)]
        return getattr(owner, part)  # the user names it
    except (AttributeError, LookupError, TypeError, ValueError):
        raise MissingPartError(owner, part) from None


def _fitting(owner: Any, item: Item) -> Any:
    """Return a key in the type that its owner uses: `[3]` may be a string in a mapping."""
    if isinstance(owner, Mapping) and item.key not in owner and str(item.key) in owner:
        return str(item.key)
    return item.key


def _key(text: str) -> Key:
    numbers = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"-?\d+", number) for number in numbers):
        return int(text) if len(numbers) == 1 else tuple(map(int, numbers))
    return text.strip("'\"")
