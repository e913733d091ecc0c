"""Style and script of a report's page."""

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem;
       color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .3rem; overflow-wrap: anywhere; }
.headline { font-size: 1.1rem; border-left: 4px solid #0072b2; padding: .2rem 0 .2rem .8rem;
            margin: .6rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .6rem;
         margin: .8rem 0 .4rem; }
.cards > div { border: 1px solid #ccc; border-radius: 6px; padding: .5rem .7rem;
               overflow-wrap: anywhere; }
.cards > div:first-child { border: 2px solid #0072b2; }
.cards dt { font-size: .85rem; color: #444; }
.cards dd { margin: 0; font-size: .85rem; color: #444; }
.cards dd.value { font-size: 1.1rem; color: #1a1a1a; font-variant-numeric: tabular-nums; }
.cards strong { font-size: 1.35rem; }
.cards :is(strong, span) { display: inline-block; }
.cards-title { margin: .8rem 0 0; font-weight: 600; }
#cards:empty + #rule { display: none; }
nav ul { columns: 16rem; padding-left: 1.2rem; font-size: .95rem; }
a { color: #005a8d; }
figure { margin: 0; }
.plot { width: 100%; }
.video { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top; }
.video video { display: block; width: 22rem; max-width: 100%; }
.plot:not(:hover) .modebar { display: none; }
.scroll { overflow-x: auto; max-height: 32rem; overflow-y: auto; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding: .3rem 0; color: #444; }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .7rem; text-align: left;
         vertical-align: top; }
thead th { position: sticky; top: 0; background: #f4f4f4; }
td { overflow-wrap: break-word; max-width: 34rem; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th { font-weight: 600; min-width: 9rem; }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; font-size: 13px; }
button { font: inherit; font-size: .9rem; margin: .4rem 0; padding: .2rem .7rem; }
summary { cursor: pointer; padding: .3rem 0; }
footer { margin-top: 3rem; color: #444; font-size: .9rem; }
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 11pt; }
  nav, button, details:not([open]) { display: none; }
  h2, .text { break-after: avoid; }
  .drawn, .text, .cards > div, figure, tr { break-inside: avoid; }
  h2 { margin-top: 1.5rem; }
  .scroll { max-height: none; overflow: visible; }
  table { font-size: 7pt; }
  th, td { min-width: 0 !important; padding: 2pt; }
  td.long { overflow-wrap: anywhere; }
  pre { white-space: pre-wrap; }
}
"""

FIT = """
// On a narrow screen the legend takes more rows, and the figure grows by as much. Names beside
// points give way to short texts, because there is no room for them; the legend has them.
function fit(figure, width) {
  const named = figure.data.filter((t) => t.showlegend !== false && t.name).length;
  const columns = Math.max(1, Math.floor(width / 240));
  figure.layout.height += 20 * Math.max(0, Math.ceil(named / columns) - 2);
  if (width < 600)
    for (const trace of figure.data)
      if (trace.mode?.includes('+text') && trace.meta) trace.text = [trace.meta];
      else if (trace.mode) trace.mode = trace.mode.replace('+text', '');
  return figure;
}
"""
"""Script that the report and the live page share."""

_DRAW = """
const PRINT = {width: 680, height: 700};  // so that a section fits on a page
const config = {  // without the button that uploads data
  responsive: true, displaylogo: false, displayModeBar: 'hover',
  modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'resetScale2d']],
};
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const plots = [];

function draw(place) {
  const figure = fit(read(place.dataset.figure), place.clientWidth);
  place.dataset.height = figure.layout.height;
  plots.push(place);
  return Plotly.newPlot(place, figure.data, figure.layout, config);
}

function save(button) {
  const text = read(button.dataset.csv).csv;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
  link.download = button.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

addEventListener('beforeprint', () => {
  for (const place of plots)
    Plotly.relayout(place, {...PRINT, height: Math.min(PRINT.height, place.layout.height)});
});
addEventListener('afterprint', () => {
  for (const place of plots)
    Plotly.relayout(place, {width: null, height: Number(place.dataset.height), autosize: true});
});
for (const button of document.querySelectorAll('button[data-csv]'))
  button.addEventListener('click', () => save(button));
Promise.all([...document.querySelectorAll('.plot')].map(draw))
  .then(() => { document.body.dataset.drawn = plots.length; });
"""

SCRIPT = "'use strict';" + FIT + _DRAW
