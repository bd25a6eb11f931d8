import assert from 'node:assert/strict';
import test from 'node:test';

import {
  askedOf, columnBeside, heightAt, isOpen, raised, saidOf, stroked, withGuess,
} from '../../core/drawing/stage/guess.js';

const ends = [0, 80]; // forty columns, two apart
const chart = (...y) => ({
  guess: 'smoothed',
  series: [{ label: 'floor', x: [0, 80], y: [1, 1] }, { label: 'smoothed', x: y.map((_, k) => 20 * k), y }],
});

test('a stroke fills the columns between its ends, and what stood there is drawn over', () => {
  const line = stroked([], { x: 0, y: 4 }, { x: 80, y: 2 }, ends);
  assert.equal(line.length, 41);
  assert.equal(heightAt(line, 40), 3);
  assert.equal(heightAt(line, 41), 3 - 1 / 40);
  const over = stroked(line, { x: 60, y: 9 }, { x: 40, y: 9 }, ends); // to the left
  assert.equal(over.length, 41);
  assert.deepEqual([38, 40, 50, 60, 62].map(x => heightAt(over, x)), [3.05, 9, 9, 9, 2.45]);
  assert.deepEqual(over.map(({ x }) => x), over.map(({ x }) => x).toSorted((a, b) => a - b));
  assert.ok(Number.isNaN(heightAt(over, 81)) && Number.isNaN(heightAt([], 3)));
});

test('keys draw as well: from column to column, and up and down', () => {
  assert.deepEqual([columnBeside(NaN, 1, ends), columnBeside(0, 1, ends), columnBeside(80, 1, ends)], [0, 2, 80]);
  const once = raised([], 2, 1, ends, 4);
  assert.deepEqual(once, [{ x: 2, y: 4.2 }]);
  assert.ok(Math.abs(raised(once, 2, -1, ends, 4)[0].y - 4) < 1e-12);
});

test('a curve is open while it has one value; then the guess stands beside it, as far as it has come', () => {
  assert.ok(isOpen(chart(4)) && !isOpen(chart(4, 3)) && !isOpen({ ...chart(4), guess: '' }));
  assert.equal(askedOf({ series: [] }), null);
  const drawn = stroked([], { x: 0, y: 4 }, { x: 80, y: 2 }, ends);
  const all = withGuess(chart(4), drawn).series.at(-1), some = withGuess(chart(4, 3, 1.5), drawn).series.at(-1);
  assert.deepEqual([all.label, all.x.length, some.x.at(-1), some.y.at(-1)], ['your guess', 41, 40, 3]);
  assert.equal(saidOf(chart(4, 3, 1.5), drawn, false), 'At step 41 you drew 3.00, it is 1.50.');
  assert.equal(saidOf(chart(4), drawn, false), 'Drawn. Train, and see.');
  assert.equal(saidOf(chart(4, 3), [], false), '');
  assert.deepEqual(withGuess(chart(4, 3), []), chart(4, 3));
});
