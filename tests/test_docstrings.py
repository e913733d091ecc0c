"""Everything public has a docstring: the API reference is made from them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.test_layering import SOURCES

Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Yield the public classes, functions and methods that have no docstring."""
    for node in body:
        if not isinstance(node, Defined) or node.name.startswith("_"):
            continue
        overload = any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)
        if not overload and not ast.get_docstring(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{prefix}{node.name}.")


def test_everything_public_has_a_docstring() -> None:
    trees = {module: ast.parse(source) for module, source in SOURCES.items()}
    missing = [f"{m}.{name}" for m, tree in trees.items() for name in undocumented(tree.body)]
    missing += [
        module for module, tree in trees.items() if tree.body and not ast.get_docstring(tree)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(): ...", ["f"]),
        ("class A:\n    'A.'\n    def g(self): ...\n    def _h(self): ...", ["A.g"]),
        ("class A:\n    def g(self):\n        'Do.'", ["A"]),
        ("def _f(): ...\nclass _A:\n    def g(self): ...", []),
    ],
)
def test_what_lacks_a_docstring_is_found(source: str, found: list[str]) -> None:
    assert list(undocumented(ast.parse(source).body)) == found
