"""The section on who took part, from real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedrl_ray.reports.data import read
from fedrl_ray.reports.sections import sections
from tests.support.runs import train


def test_a_sampled_run_shows_who_took_part(small: Any, tmp_path: Path) -> None:
    train(small(client_sampler={"name": "uniform", "count": 2}), tmp_path / "some")
    train(small(), tmp_path / "all")
    shown = {s.id: s for s in sections(read([tmp_path / "some", tmp_path / "all"]))}
    table = shown["participation"].table
    assert table is not None
    (row,) = table.rows
    assert row[:4] == ("some", "uniform", 5, "2.00")
    assert "participation" not in {s.id for s in sections(read([tmp_path / "all"]))}
