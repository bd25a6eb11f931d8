import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINE, decades, extent, linear, span, spread, step } from '../../core/drawing/stage/scale.js';

const chart = (y, more = {}) => ({ log: false, series: [{ x: y.map((_, i) => i), y }], ...more });
const names = ticks => ticks.map(({ name }) => name);

test('steps are 1, 2 or 5 times a power of ten', () => {
  for (let rough = 1e-6; rough < 1e6; rough *= 1.37) {
    const mantissa = step(rough) / 10 ** Math.floor(Math.log10(step(rough)) + 1e-9);
    assert.ok([1, 2, 5].some(m => Math.abs(m - mantissa) < 1e-9), `${rough} → ${step(rough)}`);
  }
});

test('ticks are round, within the axis, and zero has no sign', () => {
  assert.deepEqual(names(linear(-1, 1, 4)), ['−1.0', '−0.5', '0.0', '0.5', '1.0']);
  for (const { at } of linear(0.13, 7.9, 5)) assert.ok(at >= 0.13 && at <= 7.9);
});

test('a logarithmic axis has decades, or their parts where it spans few', () => {
  assert.deepEqual(names(decades(1e-3, 10, 6)), ['0.001', '0.01', '0.1', '1', '10']);
  assert.deepEqual(names(decades(0.9, 12, 6)), ['1', '3', '10']);
  assert.deepEqual(names(decades(1e-7, 1e-4, 6)), ['1e−7', '1e−6', '1e−5', '1e−4']);
});

test('one number far below all others does not stretch a logarithmic axis', () => {
  const [lo, hi] = span(chart([1e-12, ...Array(60).fill(0.01), 1], { log: true }), 4);
  assert.ok(lo > 1e-4 && lo < 0.01 && hi > 1);
});

test('what is not finite, or not positive on a logarithmic axis, does not stretch it', () => {
  assert.deepEqual(extent(chart([1, NaN, 3, Infinity]), 'y'), [1, 3]);
  assert.deepEqual(extent(chart([-1, 0, 2, 4], { log: true }), 'y'), [2, 4]);
  assert.equal(extent(chart([NaN]), 'y'), null);
});

test('an axis holds its curve, and a flat curve is not blown up', () => {
  for (const y of [[0, 1, 2], [5, 5, 5], [-3, 4], [1e-9, 2e-9]]) {
    const [lo, hi] = span(chart(y), 4);
    assert.ok(lo <= Math.min(...y) && hi >= Math.max(...y) && lo < hi, `${y}: ${lo} to ${hi}`);
  }
  const [lo, hi] = span(chart([100, 100.001]), 4);
  assert.ok(hi - lo > 1);
});

test('labels keep a line apart and within the plot', () => {
  const labels = [50, 51, 52, 198].map(y => ({ y }));
  spread(labels, 10, 200);
  for (let i = 1; i < labels.length; i++) assert.ok(labels[i].y - labels[i - 1].y >= LINE);
  assert.ok(labels.every(({ y }) => y >= 10 && y <= 200));
});
