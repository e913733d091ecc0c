"""Experiment files and dotted overrides as plain data."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..common.errors import UserError

MOST_BYTES = 2**20
"""Largest size of an experiment file."""
MOST_VALUES = 50_000
"""Most values of an experiment; an alias counts as many as the node it refers to."""
MOST_LEVELS = 50
"""Most levels of sections inside sections."""
MOST_BITS = 64
"""Most bits of a whole number."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises UserError with the line that does not parse."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: must be at most {MOST_BYTES} bytes, as an experiment file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a directory, not an experiment file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return _mapping(text, path)


def _mapping(text: str, path: Path) -> dict[str, Any]:
    try:
        data = _parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise UserError(f"{path}:{where} not YAML: {error.problem}") from None
    except _UNREADABLE as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: must be a mapping of keys; got {type(data).__name__}")
    for key in data:
        if not isinstance(key, str):
            raise UserError(f"{path}: keys must be words; got {key!r}")
    return data


_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError, AttributeError, KeyError, TypeError)
"""Errors of the YAML library on text that is no YAML, or on tags with values that do not fit."""


def _parse(text: str) -> Any:
    """Return plain data in which no two places share an object, even if the file has anchors."""
    return _unshared(yaml.load(text, Loader=_StrictLoader))


def _unshared(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _unshared(value) for key, value in data.items()}
    return [_unshared(value) for value in data] if isinstance(data, list) else data


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the data with `section.key=value` set for each override; values are YAML."""
    data = copy.deepcopy(data)
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = _parts(key.strip())
        if not equals or not all(parts):
            raise UserError(f"--set: must be key.subkey=value; got {override!r}")
        try:
            value = _parse(text)
        except _UNREADABLE:
            raise UserError(f"--set {key}: not a YAML value: {text!r}") from None
        set_key(data, parts, value, f"--set {override}")
    return data


def _parts(key: str) -> list[str]:
    """Split a dotted key; below sweep.search the rest is one key, itself dotted."""
    parts = key.split(".")
    searched = parts[:2] == ["sweep", "search"] and len(parts) > 2
    return ["sweep", "search", ".".join(parts[2:])] if searched else parts


def set_key(data: dict[str, Any], parts: Sequence[str], value: Any, source: str) -> None:
    """Set one dotted key, given in parts, in place. Raises UserError with the source."""
    for part in parts[:-1]:
        if data.get(part) is None:
            data[part] = {}
        data = data[part]
        if not isinstance(data, dict):
            raise UserError(f"{source}: {part} is not a section")
    data[parts[-1]] = value


def get_key(data: Any, parts: Sequence[str]) -> Any:
    """Return the value at one dotted key, given in parts, or None."""
    for part in parts:
        data = data.get(part) if isinstance(data, dict) else None
    return data


_MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that reads 1e-3 as a number (YAML 1.2) and refuses a key given twice.

    It also refuses small texts that expand to large data: aliases of aliases, very deep levels and
    very long numbers.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._level = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, and refuse it if it is too deep or stands for too many values."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _refused(f"more than {MOST_LEVELS} levels", event.start_mark)
        node: Any = super().compose_node(parent, index)
        self._level -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._sizes[id(node)] = 1 + sum(self._sizes[id(inner)] for inner in _inside(node))
        elif id(node) not in self._sizes:
            raise _refused("an alias inside what it stands for", event.start_mark)
        if max(self._sizes[id(node)], len(self._sizes)) > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES} values", event.start_mark)
        return node

    def construct_yaml_int(self, node: Any) -> int:
        """Return a whole number, and refuse one of too many bits."""
        if len(node.value) <= MOST_BITS + len("-0b"):
            value = super().construct_yaml_int(node)
            if value.bit_length() <= MOST_BITS:
                return value
        raise _refused(f"a whole number of more than {MOST_BITS} bits", node.start_mark)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping, and refuse a key that is given twice."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    raise _refused(f"key {key.value!r} is given twice", key.start_mark)
                seen.add(key.value)
        return node


def _refused(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def _inside(node: Any) -> list[Any]:
    """Return the nodes that a node consists of."""
    if isinstance(node, yaml.MappingNode):
        return [inner for pair in node.value for inner in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
_StrictLoader.yaml_implicit_resolvers = {
    first: list(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
