"""The page in a browser: no error, every figure drawn, numbers as in the run directories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # after tests/, which has a module of the same name

from browser import Browser, find_chromium  # noqa: E402

from fedrl_ray.analysis import statistics  # noqa: E402
from fedrl_ray.reports.data import read  # noqa: E402
from fedrl_ray.reports.headline import headline  # noqa: E402
from fedrl_ray.reports.numbers import interval_text  # noqa: E402
from fedrl_ray.reports.page import write_report  # noqa: E402
from fedrl_ray.reports.sections import sections  # noqa: E402
from tests.support.report_runs import config_of, returns_of, write_sweep  # noqa: E402
from tests.support.waiting import eventually  # noqa: E402

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium on PATH (apt-get install chromium)"
)

POINTS = [
    {"learner.omega": omega, "federation.sync_interval": sync}
    for omega in (0.0, 0.3)
    for sync in (10, 20)
]
DRAWN = "document.body && document.body.dataset.drawn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    search = {"learner.omega": [0.0, 0.3], "federation.sync_interval": [10, 20]}
    trials = {3: {"status": "failed", "reason": "<b>no</b>", "share": 0.5}}
    path = tmp_path_factory.mktemp("browser") / "sweep"
    return write_sweep(path, search, POINTS, seeds=3, trials=trials)


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    return write_report([folder], tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def browser(page):
    with Browser() as opened:
        opened.open(page, ready=DRAWN)
        yield opened


def test_the_console_is_silent_and_nothing_is_fetched(browser):
    assert browser.messages == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


def test_every_figure_is_drawn(browser, folder):
    figures = [s for s in sections(read([folder])) if s.figure is not None]
    assert browser.evaluate("document.body.dataset.drawn") == str(len(figures))
    drawn = browser.evaluate(
        "[...document.querySelectorAll('.plot')].map(p => p.querySelectorAll("
        "'.main-svg .trace, .main-svg .hm, .main-svg .barlayer path').length)"
    )
    assert len(drawn) == len(figures) and min(drawn) > 0


def test_the_numbers_in_the_page_are_those_of_the_runs(browser):
    returns = np.stack(
        [
            np.mean([returns_of(config_of(seed=seed), steps) for steps in (1900, 2000)], axis=0)
            for seed in (1, 2)  # seed 0 of omega 0.3, E 20 has failed
        ]
    )
    cells = browser.evaluate(
        "[...document.querySelectorAll('#front tbody tr')].map(r => [...r.cells].map(c => "
        "c.textContent)).find(r => r[0] === 'omega 0.3, E 20')"
    )
    for column, name in enumerate(statistics.RETURN_STATISTICS, start=3):
        assert cells[column] == interval_text(statistics.interval(returns, name))
    points = browser.evaluate(
        "document.querySelector('#front .plot').data.filter(t => t.name === 'omega 0.3, E 20')"
        ".map(t => [t.x[0], t.y[0]])"
    )
    exact = [statistics.estimate(returns, name) for name in ("average", "worst")]
    assert points == [pytest.approx(exact)]


def test_curves_arrive_as_they_were_computed(browser, folder):
    table = next(s for s in sections(read([folder])) if s.id == "learning-average").table
    expected = [row[3].estimate for row in table.rows if row[0].startswith("omega 0 (")]
    shown = browser.evaluate(
        "document.querySelector('#learning-average .plot').calcdata.filter(t => t[0].trace.name"
        " && t[0].trace.name.startsWith('omega 0 (')).flatMap(t => t.map(p => p.y))"
    )
    assert shown == pytest.approx(expected)


def test_the_headline_and_the_failed_trial_are_read_first(browser, folder):
    text = browser.evaluate("document.body.innerText")
    assert headline(read([folder])) in text
    assert text.index("00003-seed=0") < text.index("Average and worst return\n\nFurther")
    assert "<b>no</b>" in text


def test_a_csv_is_made_in_the_browser(browser):
    text = browser.evaluate(
        "(async () => { let saved; const make = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { saved = blob; return make(blob); };"
        "HTMLAnchorElement.prototype.click = () => {};"
        "document.querySelector('[data-csv=front-csv]').click();"
        "return await saved.text(); })()"
    )
    assert text.startswith("method,status,seeds,average,average_low,average_high,worst,")
    assert text.count("\n") == len(POINTS) + 1


def test_no_injected_script_or_request_gets_past_the_policy(browser):
    ran = browser.evaluate(
        "(async () => { const s = document.createElement('script');"
        "s.textContent = 'window.bad = 1'; document.body.append(s); let left = true;"
        "await fetch('https://example.org').catch(() => { left = false; });"
        "return [window.bad ?? 0, left]; })()"
    )
    assert ran == [0, False]
    eventually(lambda: require_refusals(browser))
    browser.messages.clear()


def require_refusals(browser):
    """Assert that the browser has told what it refused: it does so after the answer."""
    browser.evaluate("0")  # messages are read with an answer
    assert len(browser.messages) >= 2, browser.messages


def test_a_phone_shows_everything_within_its_width(browser):
    browser.resize(390, 800)
    browser.wait_for(
        "[...document.querySelectorAll('.plot')].every(p => p._fullLayout.width < 390)"
    )
    browser.wait_for("document.documentElement.scrollWidth <= 390")
    browser.resize(1100, 800)


def test_it_prints(browser, tmp_path):
    browser.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert browser.messages == []


def test_the_screenshot_command_takes_a_picture(page, tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "screenshot.py"]
    done = subprocess.run(
        [*command, page, tmp_path / "page.png", "--width", "500", "--height", "400"], check=False
    )
    assert done.returncode == 0
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_the_screenshot_command_says_what_is_missing(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "screenshot.py")]
    missing = [*command, str(tmp_path / "none.html"), str(tmp_path / "page.png")]
    done = subprocess.run(missing, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.strip().endswith("none.html: no such file")
    (tmp_path / "none.html").write_text("")
    done = subprocess.run(missing, capture_output=True, text=True, check=False, env={"PATH": ""})
    assert done.returncode == 1 and "no Chromium on PATH" in done.stderr
