"""Style and scripts that the live page adds to those of the report."""

STYLE = """
#sections { display: grid; grid-template-columns: minmax(0, 1fr); }
.place { display: contents; }
#state p { margin: .3rem 0; }
.note { border-left: 4px solid #d55e00; padding: .2rem 0 .2rem .8rem; overflow-wrap: anywhere; }
.progress progress { display: block; width: 8rem; accent-color: #0072b2; }
.progress span { white-space: nowrap; font-variant-numeric: tabular-nums; }
#trial-rows tr:not(.running):not(.unfinished) [data-at] { visibility: hidden; }
#trial-rows .failed td, .outliers { color: #a33b00; }
.outliers { font-weight: 600; }
@media (max-width: 599px) {  /* a card per trial, so that nothing scrolls sideways */
  #trials table, #trial-rows { display: block; }
  #trials thead { display: none; }
  #trial-rows tr { display: flex; flex-wrap: wrap; gap: 0 .8rem; border-bottom: 1px solid #ccc; }
  #trial-rows th { flex: 0 0 100%; }
  .progress progress { width: 6rem; }
  #trial-rows :is(th, td) { border: 0; padding: .1rem 0; }
  #trial-rows td:empty { display: none; }
  #trial-rows .worst::before { content: 'worst '; }
  #trial-rows .average::before { content: 'average '; }
}
#silent { position: sticky; top: 0; z-index: 10; background: #fff; }
"""

FIT = """
async (figure, shown) => {
  if (!figure) return [window.dash_clientside.no_update, window.dash_clientside.no_update];
  await dashboard.turn();
  const width = document.getElementById('sections').clientWidth;
  const fitted = dashboard.keep(fit(structuredClone(figure), width), shown);
  const height = fitted.layout.height;
  delete fitted.layout.height;  // the container gets the height, so that the width stays free
  return [fitted, {height: `${height}px`}];
}
"""
"""Maps the figure from the server, and the one on the page, to the new figure and its style."""

CLOCK = """
(clock) => {
  if (clock) dashboard.heard(clock);
  return window.dash_clientside.no_update;
}
"""

SCRIPT = """
'use strict';
const dashboard = (() => {
  const SILENT = 15000;  // milliseconds without an answer until the page shows a warning
  let ahead = 0, last = Date.now();

  function age(seconds) {
    if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s ago`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
    return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago`
                            : `${Math.round(seconds / 86400)} days ago`;
  }

  // Ages use the server's clock, because the browser's clock may be wrong.
  function ages() {
    const now = (Date.now() + ahead) / 1000;
    for (const place of document.querySelectorAll('[data-at]')) {
      const text = place.dataset.at ? age(now - Number(place.dataset.at)) : '';
      if (place.textContent !== text) place.textContent = text;
    }
    document.getElementById('silent').hidden = Date.now() - last < SILENT;
  }

  // The report has escaped every text in a table. A script in one would not run anyway, because
  // the page's policy lists the scripts that may.
  function tables() {
    for (const place of document.querySelectorAll('[data-html]')) {
      if (place.shown === place.dataset.html) continue;
      const [left, top] = [place.firstElementChild?.scrollLeft, place.firstElementChild?.scrollTop];
      place.innerHTML = place.shown = place.dataset.html;
      if (place.firstElementChild) place.firstElementChild.scrollTo(left ?? 0, top ?? 0);
    }
  }

  function heard(clock) {
    last = Date.now();
    ahead = clock.now * 1000 - last;
    document.title = clock.title;
    ages();
  }

  // Figures are drawn one at a time, so that the page stays responsive in between.
  let queue = Promise.resolve();
  function turn() {
    queue = queue.then(() => new Promise((done) => setTimeout(done, 50)));
    return queue;
  }

  // Keep the reader's zoom and choice of lines. `uirevision` alone does not: dcc.Graph writes a
  // zoom into its figure, and plotly.js then takes it for a setting of the new figure.
  const sent = new Map();
  function keep(figure, shown) {
    const id = figure.layout.uirevision, before = sent.get(id);
    sent.set(id, structuredClone(figure));
    if (!before || !shown) return figure;
    for (const [name, axis] of Object.entries(shown.layout))
      if (/^[xy]axis/.test(name) && figure.layout[name] && axis.autorange === false
          && String(axis.range) !== String(before.layout[name]?.range))
        Object.assign(figure.layout[name], {range: axis.range, autorange: false});
    const visible = (traces) => new Map(traces.map((t) => [t.uid, t.visible]));
    const was = visible(before.data), now = visible(shown.data);
    for (const trace of figure.data)
      if (was.has(trace.uid) && now.has(trace.uid) && was.get(trace.uid) !== now.get(trace.uid))
        trace.visible = now.get(trace.uid);
    return figure;
  }

  setInterval(ages, 1000);
  new MutationObserver(tables).observe(
    document, {subtree: true, childList: true, attributeFilter: ['data-html']});
  return {heard, keep, turn};
})();
"""
