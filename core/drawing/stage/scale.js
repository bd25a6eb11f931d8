// @ts-check
// The scales of a chart: few round ticks, and how far the axes reach.

import { short } from './format.js';

export const LINE = 13; // pixels between two labels

export function linear(lo, hi, room) {
  const each = step((hi - lo) / Math.max(1, room));
  const ticks = [];
  for (let i = Math.ceil(lo / each - 1e-9); i * each <= hi + 1e-9 * each; i++) ticks.push(i * each);
  const digits = Math.max(0, -Math.floor(Math.log10(each) + 1e-9));
  const large = Math.max(Math.abs(lo), Math.abs(hi)) >= 1e5;
  const name = v => (digits > 4 || large ? short(v) : v.toFixed(digits).replace('-', '−'));
  return ticks.map(at => ({ at, name: name(at === 0 ? 0 : at) }));
}

// 1, 2 or 5 times a power of ten, about `rough`
export const step = rough => {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find(m => m * power >= 0.8 * rough) * power;
};

export function decades(lo, hi, room) {
  const all = mantissas => {
    const ticks = [];
    for (let p = Math.floor(Math.log10(lo)); p <= Math.log10(hi); p++) {
      for (const m of mantissas) if (m * 10 ** p >= lo * 0.999 && m * 10 ** p <= hi * 1.001) ticks.push(m * 10 ** p);
    }
    return ticks;
  };
  let ticks = all([1]);
  if (ticks.length < 3) ticks = all([1, 3]);
  if (ticks.length < 3) ticks = all([1, 2, 5]);
  if (ticks.length < 3) return linear(lo, hi, room);
  const every = Math.ceil(ticks.length / Math.max(2, room));
  const name = v => (v >= 1e-3 && v < 1e5 ? String(Number(v.toPrecision(1))) : '1e' + Math.round(Math.log10(v)));
  return ticks.filter((_, i) => i % every === 0).map(at => ({ at, name: name(at).replace('-', '−') }));
}

export const finite = values => values.filter(Number.isFinite);

export function extent(chart, axis) {
  let lo = Infinity, hi = -Infinity;
  for (const series of chart.series) {
    for (const name of axis === 'y' ? ['y', 'low'] : ['x']) {
      for (const v of series[name] || []) {
        if (!Number.isFinite(v) || (axis === 'y' && chart.log && v <= 0)) continue;
        if (v < lo) lo = v;
        if (v > hi) hi = v;
      }
    }
  }
  return lo <= hi ? [lo, hi] : null;
}

// Of a logarithmic axis: the value below which few are. What lies far below it would stretch the axis to nothing.
function usual(chart) {
  const values = chart.series.flatMap(({ y, low }) => [...y, ...(low || [])]).filter(v => Number.isFinite(v) && v > 0);
  values.sort((a, b) => a - b);
  return values[Math.floor(values.length / 20)] || 0;
}

// The y axis: a little air around the curves; a curve that hardly moves is not blown up to fill the card.
export function span(chart, room) {
  const found = extent(chart, 'y') || (chart.log ? [0.1, 1] : [0, 1]);
  let [lo, hi] = found;
  if (chart.log) {
    lo = Math.max(lo, usual(chart) / 30);
    const air = Math.max((hi / lo) ** 0.06, hi / lo < 2 ? 1.4 : 1);
    return [lo / air, hi * air];
  }
  const least = 0.02 * Math.max(Math.abs(lo), Math.abs(hi)) || 1;
  if (hi - lo < least) [lo, hi] = [(lo + hi - least) / 2, (lo + hi + least) / 2];
  const air = 0.06 * (hi - lo);
  const from = found[0] >= 0 && lo < 0.35 * hi ? 0 : lo - air;
  const each = step((hi + air - from) / room), next = Math.ceil(hi / each - 1e-9) * each;
  return [from, next - hi < 0.35 * each ? Math.max(next, hi + 0.03 * each) : hi + air];
}

// Positions apart by LINE, each as near to where it wants to be as its neighbours let it.
export function spread(labels, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { label.y = Math.max(label.y, i ? labels[i - 1].y + LINE : top); });
  for (let i = labels.length - 1, floor = bottom; i >= 0; floor = labels[i].y - LINE, i--) {
    labels[i].y = Math.min(labels[i].y, floor);
  }
}
