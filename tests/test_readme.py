"""The README is short and runs; links of all pages exist; docs/design.md draws the packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_layering import PACKAGES, SOURCES, imported

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "cluster").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
Edges = set[tuple[str, str]]


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_library_example_runs_as_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    exec(compile(block.group(1), "README.md", "exec"), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 5  # a line per round, and the worst return
    assert float(lines[-1]) > 0


def test_the_readme_is_read_in_a_minute() -> None:
    assert len(README.splitlines()) < 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_exists(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    presets = re.findall(r"tune_configs/[\w-]+\.yaml", text)
    missing += [preset for preset in presets if not (ROOT / preset).exists()]
    assert missing == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    records = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == records


def test_the_design_lists_every_package_from_the_top_down() -> None:
    table = DESIGN.split("| package | what it holds |")[1].split("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    assert [name for names in rows for name in names] == list(PACKAGES)


def test_the_diagram_of_the_design_implies_exactly_the_imports() -> None:
    drawn, found = arrows(DESIGN), imports_between_packages()
    assert closure(drawn) == closure(found)
    for arrow in drawn:
        assert closure(drawn - {arrow}) != closure(drawn), f"{arrow} follows from others"


def arrows(page: str) -> Edges:
    """Return the arrows of a page's first diagram."""
    diagram = page.split("```mermaid\n")[1].split("```")[0]
    lines = re.findall(r"^ +(\w+) --> (.+)$", diagram, re.MULTILINE)
    return {(a, b) for a, targets in lines for b in targets.split(" & ")}


def imports_between_packages() -> Edges:
    """Return the pairs of packages of which the first imports from the second."""
    found = set()
    for module, source in SOURCES.items():
        for name in imported(module, source):
            pair = package_of(module), package_of(name)
            if all(pair) and pair[0] != pair[1]:
                found.add(pair)
    return found


def package_of(module: str) -> str:
    """Return the package of `fedrl_ray` that holds a module, or `algorithms`; else nothing."""
    root, _, rest = module.partition(".")
    if root == "algorithms":
        return root
    package = rest.split(".")[0]
    return package if root == "fedrl_ray" and package in PACKAGES else ""


def closure(edges: Edges) -> Edges:
    """Return all pairs that are connected by a way along the edges."""
    ways = set(edges)
    while further := {(a, d) for a, b in ways for c, d in edges if b == c} - ways:
        ways |= further
    return ways
