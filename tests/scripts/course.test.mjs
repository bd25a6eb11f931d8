import assert from 'node:assert/strict';
import test from 'node:test';

import { courseOf } from '../../core/drawing/stage/course.js';

const line = (label, y, more = {}) => ({ label, style: 'line', x: y.map((_, k) => k / (y.length - 1)), y, ...more });
const said = (series, more = {}) => courseOf({ series, flip: false, ends: ['', ''], ...more });
const floor = line('floor', [1, 1], { style: 'dashed' });

test('a loss says how far it fell and from where on it lies on its floor', () => {
  assert.equal(said([floor, line('loss', [3, 2, 1.05, 1.04, 1.02])], { ends: ['step 0', '800'] }),
    'From step 0 to 800: loss falls from 3.00 to 1.02, on floor from 0.500 on');
  assert.equal(said([floor, line('loss', [3, 2, 1.5])]), 'loss falls from 3.00 to 1.50, 1.50 times floor at the end');
  assert.equal(said([floor, line('loss', [1, 1.01, 1])]), 'loss stays at 1.00, on floor all the way');
});

test('a curve that goes beyond both its ends has a peak or a dip, and one is read from left to right', () => {
  assert.equal(said([line('', [0, 4, 1])]), 'it rises from 0.000 to 1.00, with a peak of 4.00 at 0.500');
  assert.equal(said([line('η', [2, 0, 2])]), 'η begins at 2.00 and ends at 2.00, with a dip to 0.000 at 0.500');
  assert.equal(said([line('a', [1, 2, 3])], { flip: true, ends: ['t=1', 't=0'] }),
    'From t=1 to t=0: a falls from 3.00 to 1.00');
});

test('a walk says whether it stays in its band', () => {
  const band = line('expected', [1.1, 1.1, 1.1], { style: 'band', low: [0.9, 0.9, 0.9] });
  assert.equal(said([band, line('walk', [1, 1.05, 1])]), 'walk stays at 1.00, inside the band all the way');
  assert.equal(said([band, line('walk', [1, 0.5, 0.2])]),
    'walk falls from 1.00 to 0.200, outside the band from 0.500 to 1.00');
});

test('what cannot be said is not: no curve, one point, no numbers', () => {
  assert.equal(said([]), '');
  assert.equal(said([line('a', [1])]), '');
  assert.equal(said([line('a', [NaN, NaN])]), '');
  assert.equal(said([{ ...line('a', [1, 2]), style: 'faint' }]), '');
});
