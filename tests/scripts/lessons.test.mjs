import assert from 'node:assert/strict';
import test from 'node:test';

const store = new Map();
globalThis.localStorage = {
  getItem: name => store.get(name) ?? null, setItem: (name, value) => store.set(name, String(value)),
};
const lessons = await import('../../dashboard/page/lessons.js');
const { isRight } = await import('../../dashboard/page/answers.js');

const steps = [{ kind: 'guess' }, { kind: 'run' }];
const one = { name: 'one', title: 'One?', words: ['x_t', 'η'], steps };
lessons.teach([one, { name: 'two', title: 'Two?', words: ['η'], steps }]);

test('an address names a step of a lesson, the first where its number is none', () => {
  const at = query => {
    const place = lessons.placeOf(new URLSearchParams(query));
    return place && [place.lesson.name, place.number];
  };
  assert.deepEqual(['lesson=one', 'lesson=one&step=2', 'lesson=one&step=3', 'lesson=two&step=x'].map(at),
    [['one', 0], ['one', 1], ['one', 0], ['two', 0]]);
  assert.equal(at('lesson=three'), null);
  assert.equal(at('steps=5'), null);
});

test('what was guessed is kept, lesson by lesson, and what is bent is passed over', () => {
  lessons.keep('one', { step: 1, answers: { 0: 2 } });
  lessons.keep('one', { done: true });
  assert.deepEqual(lessons.kept('one'), { step: 1, done: true, met: false, answers: { 0: 2 } });
  assert.deepEqual(lessons.kept('two'), { step: 0, done: false, met: false, answers: {} });
  for (const bent of ['no JSON', '[]', '7', '{"one": 3}', '{"one": {"step": "x", "answers": null, "done": "yes"}}']) {
    store.set('noisescope-lessons', bent);
    assert.deepEqual(lessons.kept('one'), { step: 0, done: false, met: false, answers: {} });
  }
  lessons.keep('one', { step: 1 });
  lessons.forget('one');
  assert.equal(lessons.kept('one').step, 0);
});

test('a term is explained by the first lesson that says its word', () => {
  const found = text => [...text.matchAll(/x_\{t\}|η/g)].map(([word], k) => [k, k, word]);
  assert.deepEqual(lessons.explaining(found), {
    'x_{t}': { title: 'One?', href: '?lesson=one' }, 'η': { title: 'One?', href: '?lesson=one' },
  });
});

test('a step is shown of a drawing with the model that stands, and the playhead goes to the nearest frame', () => {
  const drawn = query => Object.fromEntries(new URLSearchParams(query));
  assert.deepEqual(drawn(lessons.drawnOf('data=cat&train_steps=30&tab=train', 'data=own&model=mine&steps=5')),
    { data: 'own', train_steps: '30', tab: 'train', model: 'mine' });
  assert.deepEqual(drawn(lessons.drawnOf('tab=denoise', 'data=own')), { tab: 'denoise', data: 'own', model: 'exact' });
  assert.equal(lessons.frameOf({ t: new Float64Array([1, 0.5, 0]), step: [0, 1, 2] }, 0.4), 1);
  assert.equal(lessons.frameOf({ t: [0, 0, 0], rows: [4, 64, 1618] }, 64), 1);
  assert.equal(lessons.frameOf({ t: [0, 0, 0], step: [0, 10, 40] }, 35), 2);
});

test('an answer is right by what the run says', () => {
  const choices = { kind: 'choices' }, holds = { holds: [false, true] };
  assert.deepEqual([0, 1, undefined].map(given => isRight(choices, holds, given)), [false, true, false]);
  const near = { truth: 0.5, within: 0.1 };
  assert.deepEqual([0.41, 0.59, 0.61].map(given => isRight({ kind: 'number' }, near, given)), [true, true, false]);
  const place = { truth: [1, 1], within: 0.5 };
  assert.deepEqual([[1.3, 1.3], [1.4, 1.4]].map(given => isRight({ kind: 'place' }, place, given)), [true, false]);
  const curve = { truth: [[0, 0], [1, 1]], within: 0.1 };
  const drawn = [[[0, 0.05], [0.5, 0.55], [1, 1.05]], [[0, 0.5]]];
  assert.deepEqual(drawn.map(given => isRight({ kind: 'curve' }, curve, given)), [true, false]);
});
