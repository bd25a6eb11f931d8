import assert from 'node:assert/strict';
import test from 'node:test';

// What the page around hears when the address changes, in a frame of this page.
async function heard({ origins, referrer = '' }) {
  const told = [];
  const window = { parent: { postMessage: (...said) => told.push(said) } };
  for (const name of ['localStorage', 'sessionStorage']) window[name] = { getItem: () => null };
  Object.assign(globalThis, {
    window, document: { referrer }, location: { ancestorOrigins: origins, search: '?steps=9&__theme=dark', hash: '#x' },
  });
  const { outer } = await import(`../../dashboard/page/frame.js?${origins}${referrer}`);
  outer();
  return told;
}

test('only Hugging Face is told the address, without what is of the frame alone', async () => {
  const told = [[{ queryString: 'steps=9', hash: '#x' }, 'https://huggingface.co']];
  assert.deepEqual(await heard({ origins: ['https://huggingface.co'] }), told);
  assert.deepEqual(await heard({ referrer: 'https://huggingface.co/spaces/me/scope' }), told);
  assert.deepEqual(await heard({ origins: ['https://example.org', 'https://huggingface.co'] }), []);
  assert.deepEqual(await heard({ referrer: 'https://huggingface.co.example.org/' }), []);
  assert.deepEqual(await heard({}), []);
});
