"""The dashboard in a browser: it shows the run directories and updates by itself."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # after tests/, which has a module of the same name

from browser import Browser, find_chromium  # noqa: E402

from fedrl_ray.dashboard import layout, live, server  # noqa: E402
from fedrl_ray.reports.data import read  # noqa: E402
from fedrl_ray.reports.headline import headline  # noqa: E402
from fedrl_ray.reports.numbers import interval_text, number  # noqa: E402
from fedrl_ray.reports.section import Section  # noqa: E402
from fedrl_ray.reports.sections import sections  # noqa: E402
from tests.support.report_runs import write_run, write_sweep  # noqa: E402
from tests.support.waiting import eventually  # noqa: E402

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium on PATH (apt-get install chromium)"
)

SEARCH = {"learner.omega": [0.0, 0.3]}
POINTS = [{"learner.omega": omega} for omega in SEARCH["learner.omega"]]
TRIALS = {
    1: {"status": "running", "share": 0.5},
    3: {"status": "running", "share": 0.5},
    4: {"status": "failed", "share": 0.25, "reason": "<b>no</b>"},
    5: {"status": "pending", "share": 0},
}
CURVE = "document.querySelector('#learning-worst .js-plotly-plot')"
DRAWN = "[...document.querySelectorAll('.js-plotly-plot')].filter(p => p.data?.length).length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("live") / "sweep", SEARCH, POINTS, seeds=3,
                       trials=TRIALS)  # fmt: skip


@pytest.fixture(scope="module")
def url(folder) -> Iterator[str]:
    """Address of a dashboard of the sweep that polls faster than usual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "PERIOD", 0.2)
        patch.setattr(live, "REST", 0.1)
        patch.setattr(layout, "POLL", 300)
        with server.listen("127.0.0.1", 0) as listener:
            served = server.make([folder], listener, "127.0.0.1")
            thread = Thread(target=served.serve_forever)
            thread.start()
            yield server.url_of(listener)
            served.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def browser(url, folder) -> Iterator[Browser]:
    figures = [section for section in sections(read([folder])) if section.figure is not None]
    with Browser() as opened:
        opened.send("Page.navigate", url=url)
        opened.wait_for(f"{DRAWN} === {len(figures)}")
        yield opened


def add_evaluation(folder: Path, number: int, worst: float) -> None:
    """Append a row to a trial's evaluations, as its run would."""
    log = next((folder / "trials").glob(f"{number:05d}-*")) / "evaluations.jsonl"
    row = json.loads(log.read_text().splitlines()[-1])
    row |= {"round": row["round"] + 5, "steps": row["steps"] + 100, "worst": worst}
    with log.open("a") as file:
        file.write(json.dumps(row) + "\n")


def drag(browser: Browser, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag with the left button, as a person zooms; a click if start and end are equal."""
    steps = (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end))
    for kind, (x, y) in steps:
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1,
                     clickCount=1)  # fmt: skip


def box(browser: Browser, selector: str) -> list[float]:
    """Return the x, y, width and height of an element on the screen."""
    found: list[float] = browser.evaluate(
        f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height]; })()"
    )
    return found


def cells(browser: Browser, selector: str) -> list[list[str]]:
    found: list[list[str]] = browser.evaluate(
        f"[...document.querySelectorAll('{selector}')].map(r => [...r.cells].map(c => "
        "c.textContent))"
    )
    return found


def section(folder: Path, id: str) -> Section:
    return next(found for found in sections(read([folder])) if found.id == id)


def test_every_figure_is_drawn_from_this_host_alone_and_the_console_is_silent(browser, folder, url):
    figures = [found.id for found in sections(read([folder])) if found.figure is not None]

    def all_drawn() -> None:
        marks = browser.evaluate(
            "Object.fromEntries([...document.querySelectorAll('#sections section')].map(s => [s.id,"
            "s.querySelectorAll('.main-svg .trace, .main-svg .hm, .main-svg .barlayer path')"
            ".length]))"
        )
        assert all(marks[id] > 0 for id in figures)

    eventually(all_drawn)
    assert [at for at in browser.requests if not at.startswith((url, "data:", "blob:"))] == []
    assert browser.messages == []


def test_the_numbers_are_those_of_the_run_directories(browser, folder):
    eventually(lambda: require_numbers(browser, folder))


def require_numbers(browser: Browser, folder: Path) -> None:
    """Assert that the headline, the trials, the front and the curve are those of the files."""
    assert headline(read([folder])) in browser.evaluate("document.body.innerText")
    rows = {row[0]: row[1:] for row in cells(browser, "#trial-rows tr")}
    for path in sorted((folder / "trials").iterdir()):
        last = json.loads((path / "evaluations.jsonl").read_text().splitlines()[-1])
        assert rows[path.name][2:4] == [number(last["worst"]), number(last["average"])]
        assert rows[path.name][1] == f"{last['steps']:,} of 2,000"
    front = {row[0]: row[3:5] for row in cells(browser, "#front tbody tr")}
    for row in section(folder, "front").table.rows:
        assert front[row[0]] == [interval_text(cell) for cell in row[3:5]]
    expected = [r[3].estimate for r in section(folder, "learning-worst").table.rows]
    shown = browser.evaluate(f"{CURVE}.calcdata.filter(t => t[0].trace._input.name).flatMap("
                             "t => t.map(p => p.y))")  # fmt: skip
    assert shown == pytest.approx(expected)


def test_text_of_users_is_shown_as_it_is(browser):
    def the_reason_is_shown() -> None:
        assert "failed: <b>no</b>" in [row[1] for row in cells(browser, "#trial-rows tr")]

    eventually(the_reason_is_shown)
    assert browser.evaluate("document.querySelector('#trials b, #missing b')") is None


def order_of(browser: Browser) -> list[str]:
    """Return the first five letters of the names of the trials that are shown, in order."""
    found: list[str] = browser.evaluate(
        "[...document.querySelectorAll('#trial-rows tr:not([hidden]) th')].map("
        "h => h.textContent.slice(0, 5))"
    )
    return found


def click(browser: Browser, selector: str) -> None:
    browser.evaluate(f"document.querySelector('{selector}').click()")


def enter(browser: Browser, id: str, text: str, event: str = "input") -> None:
    """Enter a text into a control of the table, as a person does."""
    browser.evaluate(
        f"(() => {{ const c = document.getElementById('{id}'); c.value = '{text}';"
        f"c.dispatchEvent(new Event('{event}', {{bubbles: true}})); }})()"
    )


def test_the_trials_are_sorted_by_a_click_and_the_order_stays(browser, folder):
    listed = ["00001", "00003", "00004", "00005", "00000", "00002"]
    assert order_of(browser) == listed
    runs = sorted((folder / "trials").iterdir())
    worst = {path.name[:5]: last_worst(path) for path in runs}
    largest_first = sorted(worst, key=lambda name: -worst[name])
    click(browser, "button.sort[data-column=worst]")
    assert order_of(browser) == [*largest_first, "00005"]  # it has no value
    head = "document.querySelector('th:has([data-column=worst])').getAttribute('aria-sort')"
    assert browser.evaluate(head) == "descending"
    click(browser, "button.sort[data-column=worst]")
    assert order_of(browser) == [*reversed(largest_first), "00005"]
    click(browser, "button.sort[data-column=worst]")
    assert order_of(browser) == listed and browser.evaluate(head) == "none"
    enter(browser, "trial-order", "trial", "change")
    click(browser, "#trial-reverse")
    assert order_of(browser) == sorted(listed, reverse=True)
    for trial in (1, 3):
        add_evaluation(folder, trial, worst=12.5)
    browser.wait_for("document.getElementById('trial-rows').textContent.includes('12.5')")
    assert order_of(browser) == sorted(listed, reverse=True)
    enter(browser, "trial-order", "as listed", "change")
    assert order_of(browser) == listed


def last_worst(path: Path) -> float:
    row = json.loads((path / "evaluations.jsonl").read_text().splitlines()[-1])
    return float(row["worst"])


def test_the_trials_are_filtered_by_every_word(browser):
    enter(browser, "trial-filter", "RUNNING")
    assert order_of(browser) == ["00001", "00003"]
    assert browser.evaluate("document.getElementById('trial-count').textContent") == "2 of 6 trials"
    enter(browser, "trial-filter", "seed=2 fail")
    assert order_of(browser) == ["00004"]
    enter(browser, "trial-filter", "nothing like it")
    assert order_of(browser) == []
    enter(browser, "trial-filter", "")
    assert len(order_of(browser)) == 6
    assert browser.evaluate("document.getElementById('trial-count').textContent") == ""


def test_each_trial_has_its_curve_on_a_common_scale(browser, folder):
    eventually(lambda: require_curves(browser, folder))


def require_curves(browser: Browser, folder: Path) -> None:
    """Assert that every curve is that of the files, and that all share a scale."""
    curves = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#trial-rows tr')].map(r => "
        "[r.cells[0].textContent.slice(0, 5), [...r.querySelectorAll('.curve path')].map("
        "p => p.getAttribute('d'))]))"
    )
    assert curves.pop("00005") == []  # pending
    heights = {}
    for path in sorted((folder / "trials").iterdir()):
        (drawn,) = curves[path.name[:5]]
        points = [tuple(map(float, point.split())) for point in drawn[1:].split("L")]
        rows = [json.loads(x) for x in (path / "evaluations.jsonl").read_text().splitlines()]
        assert [x for x, _ in points] == pytest.approx([r["steps"] / 20 for r in rows], abs=0.06)
        heights |= {row["worst"]: y for row, (_, y) in zip(rows, points, strict=True)}
    order = sorted(heights)
    assert [heights[x] for x in order] == sorted(heights.values(), reverse=True)
    assert (heights[order[0]], heights[order[-1]]) == (28.0, 2.0)
    label = browser.evaluate("document.querySelector('[data-curve]').getAttribute('aria-label')")
    assert label.startswith("worst return, from ")


def test_without_a_choice_there_are_no_cards_and_no_rule(browser):
    eventually(lambda: require_cards(browser))


def require_cards(browser: Browser) -> None:
    """Assert that there is no card without a choice yet, and so no rule."""
    cards = browser.evaluate("document.querySelectorAll('#cards .cards > div').length")
    hidden = browser.evaluate("getComputedStyle(document.getElementById('rule')).display")
    assert (cards, hidden) == (0, "none")


def test_a_new_row_appears_and_what_the_reader_has_set_stays(browser, folder):
    browser.evaluate(
        "(() => { const s = document.getElementById('learning-worst'); s.scrollIntoView();"
        "s.querySelector('details').open = true; s.querySelector('.scroll').scrollTop = 60;"
        f"window.seen = {CURVE}; }})()"
    )
    x, y, width, height = box(browser, "#learning-worst .nsewdrag")
    drag(browser, (x + 0.3 * width, y + 0.3 * height), (x + 0.8 * width, y + 0.8 * height))
    browser.wait_for("seen.layout.xaxis.autorange === false")
    x, y, width, height = box(browser, "#learning-worst .legendtoggle")
    drag(browser, (x + width / 2, y + height / 2), (x + width / 2, y + height / 2))
    browser.wait_for("seen._fullData.some(t => t.visible === 'legendonly')")
    before = state(browser)
    for trial in (1, 3):
        add_evaluation(folder, trial, worst=33.25)
    browser.wait_for("document.getElementById('trial-rows').textContent.includes('33.2')")
    browser.wait_for("seen.calcdata.some(t => t.some(p => p.y === 33.25))")
    eventually(lambda: require_state(browser, before))
    for trial in TRIALS:
        complete(folder, trial)
    browser.wait_for("document.getElementById('differences')")  # a section that was not there
    browser.wait_for("document.getElementById('state').textContent.includes('6 completed')")
    browser.wait_for("document.querySelectorAll('#cards .cards > div').length === 5")
    browser.wait_for("getComputedStyle(document.getElementById('rule')).display !== 'none'")
    eventually(lambda: require_state(browser, before))
    assert browser.messages == []


def require_state(browser: Browser, expected: Any) -> None:
    """Assert what the reader has set; the page scrolls back after it has drawn."""
    assert state(browser) == expected


def state(browser: Browser) -> Any:
    """Return the figure, zoom, lines, table and place that the reader has set."""
    return browser.evaluate(
        f"[seen === {CURVE}, seen.layout.xaxis.range, seen.layout.yaxis.range,"
        "seen._fullData.map(t => t.visible).slice(0, 2),"
        "document.querySelector('#learning-worst details').open,"
        "document.querySelector('#learning-worst .scroll').scrollTop,"
        "Math.round(document.getElementById('learning-worst').getBoundingClientRect().top / 8)]"
    )


def complete(folder: Path, number: int) -> None:
    """Complete a trial, whatever its status was."""
    trials = json.loads((folder / "trials.json").read_text())
    trial = trials["trials"][number]
    path = folder / "trials" / trial["name"]
    shutil.rmtree(path, ignore_errors=True)
    write_run(path, learner={"omega": trial["point"]["learner.omega"]}, seed=trial["seed"])
    trial["status"] = "completed"
    (folder / "trials.json").write_text(json.dumps(trials))


def test_a_phone_shows_everything_within_its_width(browser):
    browser.resize(390, 800)
    browser.wait_for(
        "[...document.querySelectorAll('.js-plotly-plot')].every(p => p._fullLayout.width < 390)"
    )
    browser.wait_for("document.documentElement.scrollWidth <= 390")
    browser.wait_for(
        "(() => { const s = document.querySelector('#trials .scroll');"
        "return s.scrollWidth <= s.clientWidth; })()"
    )
    browser.resize(1100, 800)


def test_it_says_so_when_the_dashboard_has_ended(browser):
    browser.send("Network.emulateNetworkConditions", offline=True, latency=0,
                 downloadThroughput=0, uploadThroughput=0)  # fmt: skip
    browser.evaluate(
        "(() => { const now = Date.now; window.later = 0; Date.now = () => now() + later; })()"
    )
    # An answer may be under way, and the page counts from it: so a minute passes at every look.
    browser.wait_for("(later += 60000, !document.getElementById('silent').hidden)")
