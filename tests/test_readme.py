"""The README's library example runs as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_library_example_runs_as_printed(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    exec(compile(block.group(1), "README.md", "exec"), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 5  # a line per round, and the worst return
    assert float(lines[-1]) > 0


def test_every_link_and_file_the_readme_names_exists():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
    for preset in re.findall(r"tune_configs/[\w-]+\.yaml", text):
        assert (ROOT / preset).exists(), preset
