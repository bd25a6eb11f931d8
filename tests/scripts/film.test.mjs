import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../core/drawing/stage/chunk.js';
import { NONE, VIEW, around, lookup, outside, spots } from '../../core/drawing/stage/codes.js';
import { Film } from '../../core/drawing/stage/film.js';
import { dot, trailStrength, trailWidth, within } from '../../core/drawing/stage/marks.js';
import { advance } from '../../core/drawing/stage/transport.js';

/** A chunk as `pack.py` writes it: arrays by name, and the header that refers to them. */
function chunk(header, arrays) {
  const offsets = {}, parts = [];
  let size = 0;
  for (const [name, array] of Object.entries(arrays)) {
    offsets[name] = size;
    parts.push([size, array]);
    size += Math.ceil(array.byteLength / 8) * 8;
  }
  let text = new TextEncoder().encode(JSON.stringify(header(offsets)));
  text = new TextEncoder().encode(new TextDecoder().decode(text) + ' '.repeat((8 - (4 + text.length) % 8) % 8));
  const out = new Uint8Array(4 + text.length + size);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 4);
  for (const [at, array] of parts) out.set(new Uint8Array(array.buffer), 4 + text.length + at);
  return out.buffer;
}

const points = (first, count, total, range = [-1, 1]) => chunk(at => ({
  first, count, total, clock: 't = {t:.1f}', sentence: '', formula: '', figures: [], source: '', charts: [],
  panels: [{ key: 'p', kind: 'points', range, scale: null, title: 'p', note: '', caption: '', palette: 'ink',
    codes: { dtype: 'i2', shape: [count, 2, 2], offset: at.codes } }],
  numbers: { t: { dtype: 'f8', shape: [count], offset: at.t } },
}), {
  codes: Int16Array.from({ length: count * 4 }, (_, i) => first * 100 + i),
  t: Float64Array.from({ length: count }, (_, k) => first + k),
});

test('a chunk is read without copying its arrays', () => {
  const buffer = points(0, 3, 3), header = decode(buffer);
  assert.equal(header.panels[0].codes.buffer, buffer);
  assert.deepEqual([...header.numbers.t], [0, 1, 2]);
  assert.deepEqual(header.panels[0].shape, [3, 2, 2]);
});

test('chunks may arrive in any order; ready are the frames without a gap', () => {
  const film = new Film('f');
  film.add(decode(points(2, 2, 6)), 1);
  assert.deepEqual([film.ready, film.total], [0, 6]);
  film.add(decode(points(0, 2, 6)), 0);
  assert.deepEqual([film.ready, film.total], [4, 6]);
  assert.deepEqual([...film.panels.get('p').at(2).codes], [200, 201, 202, 203]);
  assert.equal(film.text(film.clock, 3), 't = 3.0');
});

test('the view is the union of the ranges that came', () => {
  const film = new Film('f');
  film.add(decode(points(0, 1, 2, [-1, 1])), 0);
  film.add(decode(points(1, 1, 2, [-3, 0.5])), 1);
  assert.deepEqual(film.panels.get('p').range, [-3, 1]);
});

test('codes are places: the view fills the canvas, y upwards, and what is no number stays none', () => {
  const panel = { range: [-1, 1] }, frame = { range: [-1, 1], codes: Int16Array.of(-VIEW, -VIEW, VIEW, VIEW, NONE, 0) };
  assert.deepEqual([...spots(frame, panel, 200, new Float32Array(6))], [0, 200, 200, 0, NaN, 100]);
});

test('points outside the view are counted, on its edge none is, and what is no number is one of them', () => {
  const codes = Int16Array.of(VIEW, -VIEW, VIEW + 1, 0, 0, -VIEW - 1, NONE, 0, 0, 0, 32767, 0);
  const panel = { range: [-1, 1], home: [-1, 1], frames: [{ range: [-1, 1], codes }] };
  assert.equal(outside(panel.frames[0], panel), 4);
  panel.range = around(panel);
  assert.ok(Math.abs(panel.range[1] - 1.02 * 32767 / VIEW) < 1e-9 && panel.range[0] === -panel.range[1]);
  assert.equal(outside(panel.frames[0], panel), 2); // the one without a number, and the one so far that nobody knows
});

test('a view that holds all points stays as it is', () => {
  const frame = { range: [0, 2], codes: Int16Array.of(0, 8000, -8000, 0) };
  assert.deepEqual(around({ home: [0, 2], frames: [undefined, frame] }), [0, 2]);
});

test('codes are colours of the panel’s range, and code 0 is a hole', () => {
  const table = Array.from({ length: 256 }, (_, i) => [i, i, i]);
  const { words, levels } = lookup({ range: [0, 1] }, { range: [0, 2] }, table);
  assert.deepEqual([words[0], levels[1], levels[255]], [0, 0, 128]);
  assert.equal(words[255], 0xff808080);
});

test('the playhead runs a film in its time, waits for what has not come, rests at the end and begins again', () => {
  const film = { ready: 101, total: 101, loop: true };
  assert.ok(Math.abs(advance({ at: 0, rest: 0 }, 3, 3, film)[0] - 50) < 1e-9);
  assert.deepEqual(advance({ at: 90, rest: 0 }, 6, 6, { ...film, ready: 95 }), [94, 0]);
  assert.deepEqual(advance({ at: 100, rest: 0 }, 0.2, 0.2, film), [100, 0.2]);
  assert.deepEqual(advance({ at: 100, rest: 0.7 }, 0.2, 0.2, film), [0, 0]);
  assert.equal(advance({ at: 100, rest: 0.7 }, 0.2, 0.2, { ...film, loop: false })[0], 100);
});

test('a film whose frames begin at their own seconds passes each in its own time', () => {
  const film = { ready: 4, total: 4, loop: false, clock: { starts: [0, 1, 1.5, 4], hold: 0 } };
  const at = (from, run) => advance({ at: from, rest: 0 }, run, run, film)[0];
  assert.deepEqual([at(0, 0.5), at(0, 1.25), at(1, 0.5), at(2, 1.25), at(0, 9)], [0.5, 1.5, 2, 2.5, 3]);
});

test('codes that were written as differences are the codes again', () => {
  const zigzag = [10, 19, 1, 2].map(v => [v & 255, v >> 8]); // +5, −10, −1, +1 of two frames of two numbers
  const coded = Uint8Array.from([...zigzag.map(([low]) => low), ...zigzag.map(([, high]) => high)]);
  const header = decode(chunk(at => ({ charts: [], numbers: {}, panels: [{ key: 'p',
    codes: { dtype: 'i2', shape: [2, 2], offset: at.codes, coding: 'delta' } }] }), { codes: coded }));
  assert.deepEqual([...header.panels[0].codes], [5, -10, 4, -9]);
});

test('marks grow with their panel and the screen, are finer in a crowd, and one alone is seen', () => {
  assert.equal(dot('points', 100, 680, 2).radius, 2 * dot('points', 100, 340).radius);
  assert.ok(dot('points', 5000, 340).radius < dot('points', 1000, 340).radius);
  assert.ok(dot('points', 1, 170).radius > 3 && dot('points', 1000, 170).radius < 1);
  assert.ok(dot('points', 5000, 340).opacity < dot('points', 1000, 340).opacity);
  assert.ok(trailWidth(2000, 340) < trailWidth(200, 340));
  assert.equal(within({ share: 0.5, least: 2, most: 4 }, 100), 4);
  assert.ok(trailStrength(0, 100) > trailStrength(10, 100) && trailStrength(1e6, 100) > 0);
});
