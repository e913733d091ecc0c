"""Tests use the public names of our code, so that its internals may change."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OURS = {"algorithms", "fedrl_ray", "tests"}
ALLOWED = {
    "_asdict": "public method of named tuples",
    "_exit": "os._exit: a forked child must not run pytest's exit handlers",
    "_fields": "public attribute of named tuples",
    "_global_registry": "Ray has no public way to look up what is registered",
    "_initialize_internal_kv": "Ray has no public way to restore its key-value client",
    "_replace": "public method of named tuples",
}
"""Names that begin with an underscore and that tests may use, each with its reason."""


def names_used(node: ast.AST) -> list[str]:
    """Return the names that a node reads from, imports from or sets in an object of others."""
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return []
        case ast.Attribute(attr=name):
            return [name]
        case ast.ImportFrom(module=str(module), names=found) if module.split(".")[0] in OURS:
            return [alias.name for alias in found]
        case ast.Call(
            func=ast.Attribute(attr="setattr" | "delattr")
            | ast.Name(id="getattr" | "hasattr" | "setattr" | "delattr"),
            args=args,
        ):
            values = (arg.value for arg in args if isinstance(arg, ast.Constant))
            return [value.rpartition(".")[2] for value in values if isinstance(value, str)]
    return []


def private_uses(source: str) -> list[tuple[int, str]]:
    """Return the line and the name of each private name that a test file uses."""
    return [
        (node.lineno, name)
        for node in ast.walk(ast.parse(source))
        for name in names_used(node)
        if name.startswith("_") and not name.startswith("__") and name not in ALLOWED
    ]


def test_tests_use_no_private_names() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in private_uses(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "learner._rows",
        "learner.replay[0]._rows.device",
        "of(x)._rows = 1",
        "from fedrl_ray.runs.run import _rows",
        "monkeypatch.setattr(runs, '_rows', 1)",
        "monkeypatch.setattr('fedrl_ray.runs.run._rows', 1)",
        "getattr(run, '_rows')",
    ],
)
def test_a_use_of_a_private_name_is_found(source: str) -> None:
    assert private_uses(source) == [(1, "_rows")]


@pytest.mark.parametrize(
    "source",
    ["self._rows.size", "cls._rows", "row._replace(a=1)", "run.__class__", "from ray import _rows"],
)
def test_other_names_are_let_pass(source: str) -> None:
    assert private_uses(source) == []
