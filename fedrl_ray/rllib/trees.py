"""RLlib's states as named arrays without pickle; JSON holds what safetensors cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from algorithms.types import AgentState

from ..common.errors import RunError

_JSON = "json"
"""Name of the array with the tree itself, whose leaves name the other arrays."""
_FEW = 16
"""Length above which a list of numbers becomes an array."""


def to_arrays(tree: Any) -> AgentState:
    """Return a tree as arrays.

    The tree is made of dicts, lists and tuples, with arrays, tensors, numbers, text and None as
    leaves. Raises RunError: it holds anything else.
    """
    arrays: AgentState = {}
    text = json.dumps(_encode(tree, (), arrays))
    return arrays | {_JSON: np.frombuffer(text.encode(), dtype=np.uint8).copy()}


def from_arrays(arrays: Mapping[str, Any]) -> Any:
    """Return the tree that `to_arrays` received. Raises ValueError, KeyError: not its result."""
    return _decode(json.loads(bytes(arrays[_JSON])), arrays)


def _encode(tree: Any, path: tuple[str, ...], arrays: AgentState) -> Any:
    if tree is None or type(tree) in (bool, int, float, str):
        return tree
    kind, children = _taken_apart(tree)
    if kind in ("dict", "list", "tuple"):
        return {kind: [[_encode(k, path, arrays), _encode(v, (*path, str(k)), arrays)]
                       for k, v in children]}  # fmt: skip
    if kind is None:
        where = ".".join(path)
        raise RunError(
            f"RLlib's state holds a {type(tree).__name__} at {where}, which is not saved"
        )
    name = ".".join(path).replace("/", "_")
    arrays[name] = children
    return {kind: name}


def _taken_apart(tree: Any) -> tuple[str | None, Any]:
    """Return the kind of a node, and its children or its array."""
    if isinstance(tree, Mapping):
        return "dict", tree.items()
    if isinstance(tree, torch.Tensor):
        return "tensor", tree.detach().cpu().numpy().copy()
    if isinstance(tree, np.generic):
        return "scalar", np.array(tree)
    if isinstance(tree, np.ndarray) and tree.dtype.kind in "biuf":
        return "array", np.ascontiguousarray(tree)
    if isinstance(tree, list | tuple):
        alike = {type(x) for x in tree}
        if len(tree) > _FEW and isinstance(tree, list) and alike in ({int}, {float}):
            return "numbers", np.array(tree)
        return type(tree).__name__, enumerate(tree)
    return None, None


_BUILD: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "list": lambda pairs: [v for _, v in pairs],
    "tuple": lambda pairs: tuple(v for _, v in pairs),
    "array": np.array,
    "tensor": lambda x: torch.from_numpy(np.array(x)),
    "scalar": lambda x: np.array(x)[()],
    "numbers": lambda x: np.array(x).tolist(),
}


def _decode(node: Any, arrays: Mapping[str, Any]) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if isinstance(value, str):
        return _BUILD[kind](arrays[value])
    return _BUILD[kind]([(_decode(k, arrays), _decode(v, arrays)) for k, v in value])
