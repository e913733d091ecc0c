"""Imports go one way: fedrl_ray -> algorithms -> torch, numpy; actors load only what they need.

An actor's memory and start-up are what its modules import, so what belongs to the command line,
to reports and to Tune stays out of them.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "algorithms").rglob("*.py"))
LIBRARIES = {"llvmlite", "numba", "numpy", "pydantic", "scipy", "torch"}
ALLOWED = {"algorithms"} | LIBRARIES | set(sys.stdlib_module_names)
NOT_IN_AN_ACTOR = ("plotly", "ray.rllib", "ray.tune", "rich", "tensorboardX", "typer")

IMPORT = """
import json, sys
from fedrl_ray import plugins
import {module}
for kind in plugins.FOLDERS:
    for name in plugins.names(kind):
        plugins.load(kind, name)
print(json.dumps(sorted(sys.modules)))
"""


def imported(source: str) -> Iterator[str]:
    """Absolute names of all modules that a source file imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def modules_after(module: str) -> set[str]:
    """What a fresh interpreter holds after importing a module and every plug-in."""
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(result.stdout))


def test_imports_are_found_at_any_depth() -> None:
    source = "import a.b\nfrom c.d import e\ndef f():\n    import g as h\nfrom . import i\n"
    assert list(imported(source)) == ["a.b", "c.d", "g"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_algorithms_know_nothing_of_where_they_run(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path.read_text(encoding="utf-8"))}
    assert roots <= ALLOWED


def test_a_relative_import_stays_inside_algorithms() -> None:
    for path in SOURCES:
        depth = len(path.relative_to(ROOT).parts) - 1
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert all(n.level <= depth for n in nodes if isinstance(n, ast.ImportFrom)), path


@pytest.mark.parametrize("module", ["fedrl_ray.local_agents", "fedrl_ray.ray_pool"])
def test_an_actor_imports_only_what_it_needs(module: str) -> None:
    modules = modules_after(module)
    assert module in modules
    unwanted = [m for m in NOT_IN_AN_ACTOR if m in modules]
    assert not unwanted


def test_local_agents_know_nothing_of_ray() -> None:
    assert "ray" not in modules_after("fedrl_ray.local_agents")
