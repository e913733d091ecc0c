"""The page: its numbers match the run directories, and no text in it can run or connect."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fedrl_ray.analysis import statistics
from fedrl_ray.analysis.statistics import Interval
from fedrl_ray.reports.data import read
from fedrl_ray.reports.headline import headline
from fedrl_ray.reports.numbers import interval_text
from fedrl_ray.reports.page import render
from fedrl_ray.reports.section import Table
from fedrl_ray.reports.sections import sections
from fedrl_ray.reports.tables import MAX_ROWS, to_csv, to_html
from fedrl_ray.reports.verdict.words import RULE
from tests.support.report_runs import config_of, returns_of, write_run, write_sweep

SEARCH = {"learner.omega": [0.0, 0.3, 0.6], "federation.sync_interval": [10, 20]}
POINTS = [
    {"learner.omega": omega, "federation.sync_interval": sync}
    for omega in SEARCH["learner.omega"]
    for sync in SEARCH["federation.sync_interval"]
]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Parser of a page: headings, ids, links, scripts, data blocks and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.scripts: list[str] = []
        self.blocks: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, attributes = self._open[-1] if self._open else ("", {})
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), data))
        elif tag == "script" and attributes.get("type") == "application/json":
            self.blocks[str(attributes["id"])] = data
        elif tag == "script":
            self.scripts.append(data)
        elif tag in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    trials = {5: {"status": "failed", "reason": EVIL, "share": 0.4}}
    path = tmp_path_factory.mktemp("reports") / "sweep"
    return write_sweep(path, SEARCH, POINTS, seeds=3, trials=trials)


@pytest.fixture(scope="module")
def data(folder):
    return read([folder])


@pytest.fixture(scope="module")
def text(data):
    return render(data)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def final(omega, sync, seeds):
    """Final returns [S, M, R], computed from the returns that the runs were written with."""
    finals = []
    for seed in seeds:
        config = config_of(seed=seed, learner={"omega": omega}, federation={"sync_interval": sync})
        finals.append(np.mean([returns_of(config, steps) for steps in (1900, 2000)], axis=0))
    return np.stack(finals)


@pytest.fixture(scope="module")
def by_id(data):
    return {section.id: section for section in sections(data)}


def test_the_numbers_on_the_page_are_those_of_the_runs(by_id, page):
    rows = {row[0]: row for row in page.rows if row}
    for omega, sync in ((0.0, 10), (0.3, 20), (0.6, 10)):
        baseline = " (DQNAvg)" if omega == 0 else ""
        row = rows[f"omega {omega:g}{baseline}, E {sync}"]
        returns = final(omega, sync, range(3))
        table = by_id["front"].table
        cells = next(r for r in table.rows if r[0] == row[0])
        for name in statistics.RETURN_STATISTICS:
            expected = statistics.interval(returns, name)
            assert cells[table.columns.index(name)] == pytest.approx(expected)


def test_the_page_shows_the_table_of_the_front_as_text(by_id, page):
    table = by_id["front"].table
    shown = [row for row in page.rows if row and row[0] == table.rows[0][0] and len(row) > 8]
    expected = [
        interval_text(cell) if isinstance(cell, Interval) else str(cell) for cell in table.rows[0]
    ]
    assert expected in shown


def test_a_method_with_a_failed_seed_is_shown_and_not_compared(by_id, data):
    row = next(r for r in by_id["front"].table.rows if r[0] == "omega 0.6, E 20")
    assert row[1:3] == ("1 of 3 seeds failed", 2)
    assert "omega 0.6, E 20" not in {r[0] for r in by_id["differences"].table.rows}
    assert "not compared: omega 0.6, E 20 (1 of 3 seeds failed)." in headline(data)


def test_the_rule_is_folded_away_once_below_the_cards_of_every_setting(tmp_path):
    write_run(tmp_path / "alone", environment={"perturb": {"pole_length": 0.3}},
              learner={"omega": 0.0})  # fmt: skip
    for number in range(4):
        write_run(tmp_path / f"{number}", seed=number // 2, learner={"omega": number % 2 / 2})
    text = render(read([tmp_path]))
    rule = f'<details id="rule"><summary>How is this chosen?</summary><p>{html.escape(RULE)}</p>'
    assert text.count(rule) == text.count(html.escape(RULE)) == 1
    assert text.count('<dl class="cards">') == 1  # the other setting has one method only
    assert 'class="cards-title">pole_length 0.5<' in text
    assert text.index('<dl class="cards">') < text.index(rule) < text.index("<section")


def test_a_page_without_a_choice_states_no_rule(tmp_path):
    text = render(read([write_run(tmp_path / "run")]))
    assert "How is this chosen?" not in text and 'class="cards"' not in text


def test_every_table_can_be_downloaded_whole(by_id, page):
    for section in by_id.values():
        if section.table is not None:
            block = json.loads(page.blocks[f"{section.id}-csv"])["csv"]
            assert block == to_csv(section.table)
            rows = list(csv.reader(io.StringIO(block)))
            assert len(rows) == len(section.table.rows) + 1
            assert len({len(row) for row in rows}) == 1


def test_every_figure_has_its_data_a_name_and_a_table(by_id, page):
    figures = [s for s in by_id.values() if s.figure is not None]
    places = [a for _, a in page.tags if a.get("class") == "plot"]
    assert len(places) == len(figures) > 10
    for section, place in zip(figures, places, strict=True):
        assert section.table is not None and section.table.rows
        assert section.title in str(place["aria-label"])
        assert json.loads(page.blocks[f"{section.id}-figure"])["data"]


def test_learning_curves_are_means_over_seeds(by_id):
    table = by_id["learning-worst"].table
    rows = [row for row in table.rows if row[0] == "omega 0.3, E 20"]
    values_ST = np.array(
        [
            [returns_of(config_of(seed=seed), steps).mean(1).min() for _, steps, *_ in rows]
            for seed in range(3)
        ]
    )
    low, high = statistics.mean_interval(values_ST)
    np.testing.assert_allclose([row[3].estimate for row in rows], values_ST.mean(0))
    np.testing.assert_allclose([row[3].low for row in rows], low)
    np.testing.assert_allclose([row[3].high for row in rows], high)
    assert [row[1] for row in rows] == list(range(100, 2001, 100))


def test_heatmaps_write_the_number_in_every_cell(by_id):
    figure = by_id["heatmap"].figure
    average, worst = figure.data
    assert list(average.x) == ["0", "0.3", "0.6"] and list(average.y) == ["10", "20"]
    for name, trace in (("average", average), ("worst", worst)):
        for row, sync in enumerate((10, 20)):
            for column, omega in enumerate((0.0, 0.3, 0.6)):
                seeds = (1, 2) if (omega, sync) == (0.6, 20) else range(3)  # one has failed
                expected = statistics.estimate(final(omega, sync, seeds), name)
                assert trace.z[row][column] == pytest.approx(expected)
                assert trace.text[row][column].startswith(f"{expected:.1f}")


def test_the_worst_off_agent_is_named_with_its_parameters(by_id):
    section = by_id["agents"]
    for run, _, seed, mean, agent, own, parameters in section.table.rows:
        assert agent == 0 and own < mean, run  # agent a returns about 10 a
        assert re.fullmatch(r"pole_length [\d.]+", parameters), seed


def test_cost_is_of_a_round_and_of_a_thousand_steps(by_id):
    row = next(r for r in by_id["cost"].table.rows if r[0] == "omega 0.3, E 20")
    assert row[1:8] == (100, 0.5, pytest.approx(0.4), pytest.approx(0.2), 5000, 250_000, 0)


def test_what_is_common_is_told_once_and_what_differs_in_a_table(by_id):
    section = by_id["configurations"]
    assert (
        "learner.batch_size: 8" in section.source
        and "learner.omega" not in section.source.split("# sweep")[0]
    )
    assert section.table.columns == ("method", "learner.omega", "federation.sync_interval")


def test_digests_and_statuses_are_there(by_id):
    table = by_id["runs"].table
    assert len(table.rows) == 18
    assert {row[4] for row in table.rows} == {"completed", "failed"}
    assert table.rows[0][-2:] == ("d" * 64, "e" * 64)


def test_a_failed_trial_is_named_with_key_and_reason_and_its_reason_is_escaped(text, page):
    row = next(row for row in page.rows if row and row[1:2] == ["failed"])
    assert row[0] == "00005-seed=0" and row[3] == EVIL
    assert "learner.omega 0.6, federation.sync_interval 20, seed 0" in row[2]
    assert EVIL not in text and "&lt;script&gt;alert(1)" in text
    assert text.index('id="missing"') < text.index('id="front"')


def test_text_from_users_is_escaped_wherever_it_stands(tmp_path):
    path = write_sweep(tmp_path / "sweep", {}, [{}], seeds=1)
    run = path / "trials" / "00000-seed=0"
    config = (run / "config.yaml").read_text()
    config = config.replace("name: small", f"name: {json.dumps(EVIL)}")
    config = config.replace("pole_length:", f"{json.dumps(EVIL)}:")
    (run / "config.yaml").write_text(config)
    for name in ("evaluations.jsonl", "metrics.jsonl"):
        log = (run / name).read_text().replace("pole_length", EVIL).replace("td_loss", EVIL)
        (run / name).write_text(log)
    (path / "sweep.yaml").write_text(f"sweep: {{search: {{{json.dumps(EVIL)}: 1}}}}\n")
    found = Page(render(read([path])))
    assert len(found.scripts) == 2 and not any(tag == "img" for tag, _ in found.tags)
    assert EVIL.split("<img")[0] not in "".join(found.blocks.values())


def test_only_the_two_scripts_of_the_page_may_run(text, page):
    policy = next(a["content"] for _, a in page.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    found = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts]
    assert allowed == found and len(found) == 2
    assert "connect-src" not in policy and "http" not in policy


def test_nothing_in_the_page_points_outside(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data"):
            assert str(attributes.get(name, "#")).startswith("#"), tag
        assert not any(name.startswith("on") for name in attributes)


def test_headings_are_in_order_and_ids_are_unique(page):
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and set(levels[1:]) == {2}
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"] for _, a in page.tags if "href" in a}
    assert links == {f"#{a['id']}" for tag, a in page.tags if tag == "section"}


def test_the_page_opens_with_the_headline(data, page, text):
    first = text.index('class="headline"')
    assert first < text.index("<nav") < text.index("<section")
    assert headline(data).startswith("omega 0.6 ")


def test_several_environments_share_a_page(folder, tmp_path):
    write_run(tmp_path / "run")
    other = tmp_path / "run" / "config.yaml"
    other.write_text(other.read_text().replace("name: cartpole", "name: elsewhere"))
    found = sections(read([folder, tmp_path / "run"]))
    assert len({s.id for s in found}) == len(found)
    assert {"cartpole: Average and worst return", "elsewhere: Final returns"} <= {
        s.title for s in found
    }


def test_a_csv_holds_every_digit_and_no_formula():
    table = Table(
        columns=("run", "worst", "note"),
        rows=(("a", Interval(1 / 3, 0.25, float("nan")), "=1+1"), ("b,c", None, "-x")),
    )
    assert to_csv(table) == (
        "run,worst,worst_low,worst_high,note\na,0.3333333333333333,0.25,,'=1+1\n\"b,c\",,,,'-x\n"
    )


def test_a_long_table_is_thinned_on_the_page_only():
    table = Table(columns=("n",), rows=tuple((str(n),) for n in range(5000)))
    shown = to_html(table, "long")
    assert shown.count("<tr>") == MAX_ROWS + 1
    assert ">0<" in shown and ">4999<" in shown and "200 of 5,000 rows" in shown
    assert to_csv(table).count("\n") == 5001


@pytest.fixture
def population(tmp_path):
    points = [{"learner.omega": omega} for omega in (0.1, 0.2, 0.7)]
    path = write_sweep(tmp_path / "pbt", {}, points, seeds=1, scheduler="pbt")
    rows = [
        {"round": 20, "steps": 400, "from": "00001-seed=0", "before": {"learner.omega": 0.7},
         "point": {"learner.omega": 0.24}},
        {"round": 60, "steps": 1200, "from": "00001-seed=0", "before": {"learner.omega": 0.24},
         "point": {"learner.omega": 0.3}},
    ]  # fmt: skip
    log = path / "trials" / "00002-seed=0" / "lineage.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read([path])


def test_a_population_is_shown_trial_by_trial_and_recommends_nothing(population):
    assert "The population has 3 complete trials. Best in the worst environment: 0000" in headline(
        population
    )
    found = {section.id: section for section in sections(population)}
    assert not {"differences", "heatmap", "against-omega"} & set(found)
    assert [row[:2] for row in found["front"].table.rows] == [
        (f"0000{i}-seed=0", "complete") for i in range(3)
    ]


def test_the_searched_key_of_a_population_is_drawn_over_its_steps(population):
    figure = {s.id: s for s in sections(population)}["lineage-omega"].figure
    unchanged, _, changed = figure.data
    assert list(unchanged.x) == [0, 2000] and list(unchanged.y) == [0.1, 0.1]
    assert list(changed.x) == [0, 400, 1200, 2000] and list(changed.y) == [0.7, 0.24, 0.3, 0.3]
    assert changed.line.shape == "hv"


def test_points_drawn_at_random_make_a_readable_page(tmp_path):
    rng = np.random.default_rng(0)
    points = [
        {"learner.omega": float(rng.random()), "learner.discount": 0.9 + float(rng.random()) / 20}
        for _ in range(20)
    ]
    found = {s.id: s for s in sections(read([write_sweep(tmp_path / "s", {}, points, seeds=1)]))}
    assert "heatmap" not in found and {"against-omega", "against-discount"} <= set(found)
    lines = [t for t in found["learning-worst"].figure.data if t.line.width != 0]
    assert len(lines) == 20 and sum(t.visible is True for t in lines) == 7
    assert "Click a name in the legend" in found["learning-worst"].text


@pytest.mark.parametrize("left", [(), ("metrics.jsonl",), ("evaluations.jsonl",)])
def test_a_run_that_has_only_begun_has_a_page(tmp_path, left):
    run = write_run(tmp_path / "run", share=0.5, status=None)
    for name in {"metrics.jsonl", "evaluations.jsonl"} - set(left):
        (run / name).unlink()
    data = read([run])
    assert "run" in {row[0] for row in Page(render(data)).rows if row}
    expected = (
        "small returns" if "evaluations.jsonl" in left else "There is no evaluation yet of small."
    )
    assert expected in headline(data)


def test_one_run_has_its_final_returns_and_no_comparison(tmp_path):
    found = {s.id: s for s in sections(read([write_run(tmp_path / "run")]))}
    assert found["front"].title == "Final returns" and found["front"].figure is None
    assert "one seed: the interval covers episodes only" in found["front"].text
    assert "differences" not in found and "heatmap" not in found


def test_agents_that_score_on_their_own_environments_have_known_parameters(tmp_path):
    run = write_run(tmp_path / "run", evaluation={"grid": 5})
    rows = (run / "evaluations.jsonl").read_text().replace('"driver"', '"agents"')
    (run / "evaluations.jsonl").write_text(rows.replace('"nominal": ', '"nominal": null, "was": '))
    found = {s.id: s for s in sections(read([run]))}
    assert found["agents"].table.rows[0][-1] == "pole_length 0.5"
    assert np.isnan(found["front"].table.rows[0][-1].estimate)
