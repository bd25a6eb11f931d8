// @ts-check
// What stands around the stages and is Gradio's own: tooltips, the buttons of the bar, keys on sliders.

import { afterChanges } from '../../core/drawing/stage/dom.js';
import { answers, followHash, openGlossary, show } from '../../core/drawing/stage/words.js';
import { label, toggle } from './folds.js';
import { copy } from './frame.js';
import { pressed } from './greeting.js';

/**
 * Gradio mounts and unmounts as it likes; what we add to its nodes is added again when they come back.
 * Until the recipe of the address stands in the sidebar nothing there can be turned: it would be overwritten.
 * @param {Record<string, string>} tips by the id of what they explain
 */
export function decorate(tips) {
  const add = () => {
    const waits = !document.body.classList.contains('ns-ready');
    for (const node of document.querySelectorAll('#recipe, #tabs > .tab-wrapper')) {
      if (node instanceof HTMLElement && node.inert !== waits) node.inert = waits;
    }
    label();
    for (const [name, text] of Object.entries(tips)) {
      const node = document.getElementById(name);
      if (node) tell(node, text);
    }
  };
  add();
  followHash();
  addEventListener('hashchange', followHash);
  afterChanges(add);
  new MutationObserver(add).observe(document.body, { attributeFilter: ['class'] }); // ready
}

// A row of the recipe answers at its label, and says as much to who does not see it; a button has a tooltip.
function tell(node, text) {
  const name = node.querySelector('[data-testid="block-info"]');
  if (!name) {
    if (node.title !== text) node.title = text;
    return;
  }
  if (!name.classList.contains('ns-answers')) answers(name, name.textContent.trim(), text);
  for (const input of node.querySelectorAll('input, textarea')) {
    if (input.getAttribute('aria-description') !== text) input.setAttribute('aria-description', text);
  }
}

/** Light or dark, as the address asks or the system: as Gradio will find it too. */
export function themed() {
  const asked = new URLSearchParams(location.search).get('__theme');
  const dark = asked === 'dark' || asked !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches;
  document.body.classList.toggle('dark', dark);
}

function theme() {
  const dark = document.body.classList.toggle('dark');
  const url = new URL(location.href);
  url.searchParams.set('__theme', dark ? 'dark' : 'light');
  history.replaceState(history.state, '', url);
}

document.addEventListener('click', event => {
  const { target } = event;
  const button = target instanceof Element && /** @type {HTMLElement | null} */ (target.closest('[data-ns]'));
  if (!button || pressed(button, event)) return;
  if (button.dataset.ns === 'theme') theme();
  if (button.dataset.ns === 'copy') copy(button);
  if (button.dataset.ns === 'glossary') openGlossary();
  if (button.dataset.ns === 'fold') toggle(button.dataset.fold);
  if (button.dataset.ns === 'recipe') document.body.classList.toggle('ns-open');
});

// Gradio's sliders tell when a pointer lets go of them; keys, and Enter in the number beside one, count as well.
let keys = false;
document.addEventListener('keydown', () => { keys = true; }, true);
document.addEventListener('pointerdown', () => { keys = false; }, true);
document.addEventListener('focusin', ({ target }) => {
  const row = keys && target instanceof Element && target.closest('#recipe .ns-row');
  const name = row && row.querySelector('.ns-answers');
  if (name) show(name, document.getElementById('recipe'));
});
document.addEventListener('change', ({ target }) => {
  const row = keys && target instanceof Element && target.closest('#recipe .ns-row');
  if (!row || !row.querySelector('input[type=range]')) return;
  target.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }));
});
