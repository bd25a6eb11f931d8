import assert from 'node:assert/strict';
import test from 'node:test';

import { found, glossary } from '../../core/drawing/stage/terms.js';

const met = (text, equation) => found(text, equation).map(([begin, end, key]) => [text.slice(begin, end), key]);

test('of two terms that begin alike the longer one is meant, and a hat is part of a letter', () => {
  assert.deepEqual(met('removed x_{t} − mean'), [['x_{t} − mean', 'removed']]);
  assert.deepEqual(met('error ε̂ − ε exact'), [['ε̂', 'eps_hat'], ['ε exact', 'eps_exact']]);
  assert.deepEqual(met('ε̂_{c} − ε̂_{u}'), [['ε̂_{c} − ε̂_{u}', 'guidance']]);
});

test('a letter in a word, or below another letter, is no term, and Latin ones are terms in equations alone', () => {
  assert.deepEqual(met('a walk of x steps to t'), []);
  assert.deepEqual(met('scores, losses and lossy'), []);
  assert.deepEqual(met('w_{q} x', true), [['x', 'x_t']]);
  assert.deepEqual(met('x_{s} = α_{s} x̂_{0} + b z', true).map(([, key]) => key),
    ['x_t', 'alpha', 'x0_hat', 'forward_step', 'z']);
});

test('every spelling of a term is found as that term', () => {
  for (const [key, { spelled = [], inner = [] }] of Object.entries(glossary)) {
    for (const text of spelled) assert.deepEqual(met(text), [[text, key]]);
    for (const text of inner) assert.deepEqual(met(text, true), [[text, key]]);
  }
});
