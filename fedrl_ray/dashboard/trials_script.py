"""Style and script of the table of trials: it is sorted, filtered and drawn in the browser."""

STYLE = """
#trial-controls { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center;
                  margin: .5rem 0; font-size: .9rem; }
#trial-controls :is(input, select, button) { font: inherit; padding: .2rem .4rem; margin: 0; }
#trial-controls label { display: flex; gap: .4rem; align-items: center; }
#trial-controls label > div { width: 14rem; max-width: 100%; }
#trial-controls input { width: 100%; }
#trial-rows tr[hidden] { display: none; }
button.sort { font: inherit; font-weight: 600; border: 0; background: none; padding: 0; margin: 0;
              cursor: pointer; text-align: left; white-space: nowrap; }
button.sort::after { content: ' \\2195'; color: #767676; }
[aria-sort=ascending] button.sort::after { content: ' \\2191'; color: inherit; }
[aria-sort=descending] button.sort::after { content: ' \\2193'; color: inherit; }
.curve svg { display: block; width: 7rem; height: 2.06rem; overflow: visible; }
.curve path { fill: none; stroke: #444444; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.curve circle { fill: #444444; }
@media (max-width: 599px) {
  #trial-controls label { flex: 1 1 100%; }
  #trial-controls label > div { flex: 1; }
}
"""

SCRIPT = """
(() => {
  const NUMBERS = new Set(['local steps', 'worst', 'average', 'last row']);
  const LISTED = 'as listed';
  const order = {column: LISTED, reverse: false};
  const $ = (id) => document.getElementById(id);

  function value(row) {
    const cell = row.querySelector(`[data-column="${order.column}"]`);
    const key = cell?.dataset.key ?? '';
    return NUMBERS.has(order.column) && key !== '' ? Number(key) : key;
  }

  // Trials without a value come last in both directions.
  function compare(a, b) {
    const sign = order.reverse ? -1 : 1, place = a.dataset.place - b.dataset.place;
    if (order.column === LISTED) return sign * place;
    const [x, y] = [value(a), value(b)];
    if (x === '' || y === '') return (x === '') - (y === '') || place;
    return (x < y ? -sign : x > y ? sign : 0) || place;
  }

  function arrange() {
    const body = $('trial-rows');
    if (!body) return;
    const rows = [...body.rows], sorted = [...rows].sort(compare);
    if (sorted.some((row, i) => row !== rows[i])) body.append(...sorted);
    const words = ($('trial-filter')?.value ?? '').toLowerCase().split(/\\s+/);
    let shown = 0;
    for (const row of sorted) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    const count = shown === sorted.length ? '' : `${shown} of ${sorted.length} trials`;
    if ($('trial-count').textContent !== count) $('trial-count').textContent = count;
    marks();
  }

  function marks() {
    for (const button of document.querySelectorAll('button.sort')) {
      const head = button.parentElement, mine = button.dataset.column === order.column;
      const sort = mine ? (order.reverse ? 'descending' : 'ascending') : 'none';
      if (head.getAttribute('aria-sort') !== sort) head.setAttribute('aria-sort', sort);
    }
    if ($('trial-order').value !== order.column) $('trial-order').value = order.column;
    $('trial-reverse').setAttribute('aria-pressed', String(order.reverse));
  }

  // Curves of one environment share a scale, so that they can be compared.
  let drawn = '';
  function curves() {
    const places = [...document.querySelectorAll('[data-curve]')];
    const state = places.map((p) => p.dataset.curve + p.childElementCount).join('|');
    if (state === drawn) return;
    const ranges = new Map();
    const read = (p) => p.dataset.curve.split(' ').map((point) => point.split(',').map(Number));
    for (const place of places) {
      const [low, high] = ranges.get(place.dataset.scale) ?? [Infinity, -Infinity];
      const values = read(place).map(([, y]) => y);
      ranges.set(place.dataset.scale, [Math.min(low, ...values), Math.max(high, ...values)]);
    }
    for (const place of places) draw(place, read(place), ranges.get(place.dataset.scale));
    drawn = places.map((p) => p.dataset.curve + p.childElementCount).join('|');
  }

  function draw(place, points, [low, high]) {
    const at = ([x, y]) => [100 * x, high > low ? 28 - 26 * (y - low) / (high - low) : 15];
    const path = points.map((point) => at(point).map((v) => v.toFixed(1)).join(' ')).join('L');
    const [cx, cy] = at(points[points.length - 1]).map((v) => v.toFixed(1));
    // numbers only, so no text of a user can become markup
    place.innerHTML = `<svg viewBox="0 0 102 30" aria-hidden="true"><path d="M${path}"/>`
                      + `<circle cx="${cx}" cy="${cy}" r="2"/></svg>`;
  }

  function sort(column) {
    Object.assign(order, {column, reverse: NUMBERS.has(column)});
  }

  document.addEventListener('click', ({target}) => {
    if (target.matches?.('button.sort')) {
      const column = target.dataset.column, first = NUMBERS.has(column);  // numbers: largest first
      if (order.column !== column) sort(column);
      else if (order.reverse === first) order.reverse = !first;
      else sort(LISTED);
    } else if (target.id === 'trial-reverse') order.reverse = !order.reverse;
    else return;
    arrange();
  });
  document.addEventListener('change', ({target}) => {
    if (target.id !== 'trial-order') return;
    sort(target.value);
    arrange();
  });
  document.addEventListener('input', ({target}) => {
    if (target.id === 'trial-filter') arrange();
  });
  let due = false;
  function soon() {
    if (!due) requestAnimationFrame(() => { due = false; arrange(); curves(); });
    due = true;
  }
  new MutationObserver(soon).observe(document, {
    subtree: true, childList: true, characterData: true,
    attributeFilter: ['data-curve', 'data-key', 'data-place'],
  });
})();
"""
