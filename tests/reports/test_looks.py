"""Looks: in every figure colour encodes omega and the marker encodes E; legends go by value."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fedrl_ray.reports.data import ReportData, read
from fedrl_ray.reports.looks import colour_of
from fedrl_ray.reports.sections import sections
from fedrl_ray.reports.style import MARKERS
from tests.support.report_runs import write_sweep

OMEGAS, INTERVALS = (0.9, 0.0, 0.1, 0.3), (100, 20, 5)  # not in order
LABEL = re.compile(r"omega ([\d.]+)(?: \(DQNAvg\))?(?:, E (\d+))?")


def data_of(folder: Any, omegas: Any, intervals: Any) -> ReportData:
    points = [
        {"learner.omega": omega, "federation.sync_interval": sync}
        for omega in omegas
        for sync in intervals
    ]
    return read([write_sweep(folder / "sweep", {}, points, seeds=2)])


@pytest.fixture(scope="module", params=["small", "large"])
def figures(request, tmp_path_factory) -> dict[str, Any]:
    """Return the figures of a report: of four methods on shared axes, or of twelve in panels."""
    few = request.param == "small"
    chosen = ((0.3, 0.0), (100, 5)) if few else (OMEGAS, INTERVALS)
    data = data_of(tmp_path_factory.mktemp("looks"), *chosen)
    found = {s.id: s.figure for s in sections(data) if s.figure is not None}
    return found | {"omegas": sorted(chosen[0]), "intervals": sorted(chosen[1])}


def named(figures: dict[str, Any]) -> list[tuple[str, Any, float, int | None]]:
    """Return each trace that is named after a method: figure, trace, omega, E."""
    found = []
    for id, figure in figures.items():
        for trace in figure.data if id not in ("omegas", "intervals") else ():
            match = LABEL.match(trace.name or trace.legendgroup or "")
            if match:
                sync = int(match[2]) if match[2] else None
                found.append((id, trace, float(match[1]), sync))
    return found


def test_colour_is_that_of_omega_and_the_marker_that_of_e(figures):
    seen = set()
    for id, trace, omega, sync in named(figures):
        expected = colour_of(omega, figures["omegas"])
        colour = trace.line.color or trace.marker.color
        if isinstance(trace.marker.color, str):
            assert trace.marker.color == expected, id
        if colour is not None:
            assert colour == expected, id
        if sync is not None and isinstance(trace.marker.symbol, str):
            wanted = MARKERS[figures["intervals"].index(sync)]
            assert trace.marker.symbol.removesuffix("-open") == wanted, id
        seen.add(id)
    assert {"front", "differences", "grid", "learning-worst", "agents", "td-loss"} <= seen


def test_points_over_omega_and_over_e_have_the_looks_of_their_methods(figures):
    for id in {"against-omega", "against-E"} & figures.keys():
        for trace in figures[id].data:
            for text, colour, symbol in zip(
                trace.text, trace.marker.color, trace.marker.symbol, strict=True
            ):
                omega, sync = LABEL.match(text).groups()
                assert colour == colour_of(float(omega), figures["omegas"])
                assert symbol == MARKERS[figures["intervals"].index(int(sync))]


def test_bars_of_time_have_the_colour_of_omega(figures):
    bars = [trace for trace in figures["cost"].data if not trace.showlegend]
    for trace in bars:
        omega = float(LABEL.match(trace.y[0])[1])
        assert trace.name == "not learning" or trace.marker.color == colour_of(
            omega, figures["omegas"]
        )
    assert len(bars) == 2 * len(figures["omegas"]) * len(figures["intervals"])


def test_legends_go_by_value(figures):
    for id, figure in figures.items():
        if id in ("omegas", "intervals") or figure.layout.showlegend is False:
            continue
        entries = [
            LABEL.match(trace.name) for trace in figure.data
            if trace.showlegend is not False and trace.name and LABEL.match(trace.name)
        ]  # fmt: skip
        values = [(float(m[1]), int(m[2] or 0)) for m in entries]
        assert values == sorted(values), id


def test_lines_of_a_panel_differ_without_colour(figures):
    for id in ("learning-worst", "grid", "td-loss"):
        looks = [
            (trace.yaxis, trace.line.dash, trace.marker.symbol)
            for trace in figures[id].data
            if trace.mode == "lines+markers"
        ]
        assert len(looks) == len(set(looks)), id


def test_points_of_one_marker_differ_without_colour(figures):
    for id in {"front", "agents-by-parameter"} & figures.keys():
        points = [
            (trace.marker.symbol, trace.marker.size, trace.yaxis)
            for _, trace, _, _ in named({id: figures[id]})
            if trace.marker.size
        ]
        assert len(points) == len(set(points)) > 3, id
        sizes = {omega: trace.marker.size for _, trace, omega, _ in named({id: figures[id]})}
        assert [sizes[omega] for omega in sorted(sizes)] == sorted(sizes.values())


def test_the_scale_is_sequential_and_dark_enough_on_white():
    omegas = [0.0, 0.1, 0.2, 0.5, 0.9, 1.0]
    light = [luminance(colour_of(omega, omegas)) for omega in omegas]
    assert light == sorted(light) and len(set(light)) == len(light)
    assert all(1.05 / (x + 0.05) >= 3 for x in light)  # WCAG 1.4.11, graphics


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_methods_of_one_omega_still_differ(tmp_path):
    points = [{"aggregator.name": name} for name in ("mean", "trimmed_mean")]
    data = read([write_sweep(tmp_path / "sweep", {}, points, seeds=2)])
    (study,) = data.studies
    looks = [study.looks[method] for method in study.methods]
    assert len({one.colour for one in looks}) == len({one.dash for one in looks}) == 2
