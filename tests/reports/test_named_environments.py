"""Reports of fleets that differ by category use the names of the sites."""

from __future__ import annotations

from pathlib import Path

from fedrl_ray.reports.axis import grid_axis
from fedrl_ray.reports.page import write_report
from tests.environments.test_user_parameters import fleet
from tests.support.runs import train


def test_positions_on_the_grid_are_names_if_environments_have_names() -> None:
    sites = ["north", "south"] * 2
    assert grid_axis({"environment": sites[:2]}) == (["north", "south"], "environment")
    masses = [0.5, 0.5, 1.5, 1.5]
    positions, label = grid_axis({"mass": masses, "environment": sites})
    assert positions[2] == "north, mass 1.5" and label == "environment"
    assert grid_axis({"mass": [0.5, 1.0]}) == ([0.5, 1.0], "mass")


def test_a_report_names_sites_of_agents_and_of_the_test_grid(tmp_path: Path) -> None:
    sites = {"far harbour": {"site": "harbour"}, "south": {"site": "south"}}
    train(fleet({"environments": sites}), tmp_path / "run")
    write_report([tmp_path / "run"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "far harbour" in page
    assert "<td>north</td>" in page or "<td>south</td>" in page  # the worst-off agent's site
