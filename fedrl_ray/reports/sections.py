"""All sections of a report in their order, for the page and for the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from . import overview
from .data import ReportData
from .figures.against_key import return_against_keys
from .figures.agents import agent_sections
from .figures.cost import cost
from .figures.differences import differences
from .figures.front import fronts
from .figures.grid import return_over_grids
from .figures.heatmap import heatmaps
from .figures.learning import learning_curves
from .figures.lineage import lineages
from .figures.training import drift, losses
from .lost import lost
from .outliers import outliers
from .participation import participation
from .section import Section
from .studies import Study
from .videos import videos


def sections(data: ReportData) -> list[Section]:
    """Return the sections: results first, then training, then the runs themselves."""
    many = len(data.studies) > 1
    found = []
    for index, study in enumerate(data.studies, start=1):
        for one in of_study(study):
            found.append(_of_many(one, study, index) if many else one)
    more = (videos(data), participation(data), lost(data))
    missing = [overview.missing(data), *(one for one in more if one is not None)]
    whole = [overview.all_runs(data), overview.configurations(data), overview.made_with(data)]
    first = [one for one in (outliers(data),) if one is not None]
    rest = [*missing, *found] if data.problems else [*found, *missing]
    return [*first, *rest, *whole]


def of_study(study: Study) -> Iterator[Section]:
    """Yield the sections of one environment that have something to show."""
    candidates = [
        *fronts(study),
        *differences(study),
        *return_over_grids(study),
        *return_against_keys(study),
        *heatmaps(study),
        *learning_curves(study),
        *lineages(study),
        *agent_sections(study),
        drift(study),
        *losses(study),
        cost(study),
    ]
    return (one for one in candidates if one is not None)


def _of_many(one: Section, study: Study, index: int) -> Section:
    return replace(one, id=f"s{index}-{one.id}", title=f"{study.title}: {one.title}")
