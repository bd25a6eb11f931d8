// @ts-check
// A curve of a chart that is drawn before it is known. It stands beside what comes of it.

import { short } from './format.js';

const COLUMNS = 40; // at which a hand is followed, over the whole axis
const STEP = 1.05; // what an arrow key changes the height by

/** @typedef {{x: number, y: number}[]} Drawn from left to right */
/** @typedef {{label: string, style: string, palette: string, x: ArrayLike<number>, y: ArrayLike<number>}} Series */

/** What stands at x on a curve that was drawn, straight between its points; NaN beyond them. */
export function heightAt(drawn, x) {
  const after = drawn.findIndex(point => point.x >= x);
  if (after < 0) return NaN;
  const { x: right, y: high } = drawn[after];
  if (right === x) return high;
  if (!after) return NaN;
  const { x: left, y: low } = drawn[after - 1];
  return low + (high - low) * (x - left) / (right - left);
}

/** The curve with a stroke from one point to another: what stood between them is drawn over. */
export function stroked(drawn, from, to, ends) {
  const [least, most] = ends, each = (most - least) / COLUMNS, column = x => Math.round((x - least) / each);
  const [a, b] = from.x <= to.x ? [from, to] : [to, from], first = column(a.x), last = column(b.x);
  const between = [];
  for (let k = first; k <= last; k++) {
    const share = last > first ? (k - first) / (last - first) : 1;
    between.push({ x: least + k * each, y: first === last ? to.y : a.y + (b.y - a.y) * share });
  }
  return [...drawn.filter(({ x }) => column(x) < first || column(x) > last), ...between].sort((p, q) => p.x - q.x);
}

/** One column's height changed by a key: up, or down. */
export function raised(drawn, x, way, ends, otherwise) {
  const known = heightAt(drawn, x), y = (Number.isFinite(known) ? known : otherwise) * STEP ** way;
  return stroked(drawn, { x, y }, { x, y }, ends);
}

/** Where a key goes to from x: a column to the left or to the right. */
export function columnBeside(x, way, ends) {
  const [least, most] = ends, each = (most - least) / COLUMNS;
  const at = Number.isFinite(x) ? x + way * each : least;
  return Math.min(most, Math.max(least, at));
}

/** The curve of a chart that can be guessed, {x, y}; null if there is none. @returns {Series | null} */
export const askedOf = chart => (chart.guess && chart.series.find(({ label }) => label === chart.guess)) || null;

/** Whether that curve is still to come. */
export const isOpen = chart => Boolean(askedOf(chart)) && askedOf(chart).x.length < 2;

/** A chart with what was drawn on it, as far as the true curve has come. */
export function withGuess(chart, drawn) {
  const asked = askedOf(chart);
  if (!asked || !drawn.length) return chart;
  let shown = drawn;
  if (!isOpen(chart)) {
    const end = asked.x[asked.x.length - 1], y = heightAt(drawn, end);
    shown = [...drawn.filter(({ x }) => x < end), ...(Number.isFinite(y) ? [{ x: end, y }] : [])];
  }
  const x = shown.map(point => point.x), y = shown.map(point => point.y);
  const mine = { label: 'your guess', style: 'dashed', palette: 'fourth', x, y };
  return { ...chart, series: [...chart.series, mine] };
}

/** What is to be said of a guess beside the true curve. */
export function saidOf(chart, drawn, drawing) {
  const asked = askedOf(chart);
  if (!asked) return '';
  if (isOpen(chart)) {
    if (drawing) return 'Draw on the chart: where will the loss go from here?';
    return drawn.length ? 'Drawn. Train, and see.' : '';
  }
  const x = asked.x[asked.x.length - 1], guessed = heightAt(drawn, x);
  if (!Number.isFinite(guessed)) return '';
  return `At step ${Math.round(x + 1).toLocaleString('en')} you drew ${short(guessed)}, it is ` +
    `${short(asked.y[asked.y.length - 1])}.`;
}
