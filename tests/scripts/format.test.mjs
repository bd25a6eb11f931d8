import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill, format, short, subject } from '../../core/drawing/stage/format.js';
import { plain, runs } from '../../core/drawing/stage/markup.js';

test('ties go to the even digit, as in Python', () => {
  assert.deepEqual([0.5, 1.5, 2.5].map(v => format(v, '.0f')), ['0', '2', '2']);
  assert.equal(format(0.125, '.2f'), '0.12');
});

test('what is no number is a dash, and infinity has its sign', () => {
  assert.deepEqual([NaN, undefined, null].map(v => format(v, '.3f')), ['–', '–', '–']);
  assert.equal(format(-Infinity, '.3f'), '-∞');
});

test('a template takes numbers by name and leaves doubled braces', () => {
  assert.equal(fill('{{t}} = {t:.2f}, {k:,.0f}', name => ({ t: 0.5, k: 12345 })[name]), '{t} = 0.50, 12,345');
  assert.equal(subject('{{x}} t = {k:.0f} / {n}'), 'k');
});

test('a readout has three significant digits and an exponent only where it must', () => {
  assert.deepEqual([0, 0.1234, -1.234, 12.34, 123.4, 1e-4, 123456].map(short),
    ['0.000', '0.123', '−1.23', '12.3', '123', '1.0e−04', '1.2e+05']);
});

test('subscripts and superscripts are marked, whatever else stands in braces', () => {
  assert.deepEqual(runs('x_{t}+{y}'), [{ text: 'x', level: 0 }, { text: 't', level: -1 }, { text: '+{y}', level: 0 }]);
  assert.equal(plain('e^{−t} x̂_{0}'), 'e^−t x̂_0');
});
