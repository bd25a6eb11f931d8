// @ts-check
// The tab in front, and its stage.

import { address, write } from './address.js';

function front(tab) {
  document.body.dataset.tab = tab;
  if (tab !== address.tab) write({ tab, panels: '', frame: '' }, true);
}

/**
 * Which tab is in front is read off the page itself: Gradio's own event waits for whatever else is under way.
 * @param {Record<string, string>} titles by name
 */
export function watchTabs(titles) {
  document.body.dataset.tab = address.tab;
  const names = Object.fromEntries(Object.entries(titles).map(([name, title]) => [title, name]));
  new MutationObserver(changes => {
    for (const { target } of changes) {
      const chosen = target instanceof Element && target.getAttribute('aria-selected') === 'true';
      const name = chosen && names[target.textContent.trim()];
      if (name) front(name);
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['aria-selected'] });
}

/** A stage by its id. Gradio gives the id to a frame around the element that the stage lives in. */
export function stageOf(id) {
  const frame = document.getElementById(id);
  const nodes = /** @type {any[]} */ (frame ? [frame, ...frame.querySelectorAll('*')] : []);
  return nodes.map(node => node.noisescope).find(Boolean);
}

/** A film is there: panels that the address asks of it and it does not have give way to those that took their place. */
export function known(stage, keys) {
  const asked = address.panels.split(',');
  if (!address.panels || stage !== stageOf(`stage-${address.tab}`) || asked.every(key => keys.includes(key))) return;
  write({ panels: stage.chosen.join(',') });
}

/** A stage's playhead, or its chips, have come to rest. */
export function seen(id, what) {
  const stage = stageOf(id);
  if (!stage) return;
  write(what === 'frame' ? { frame: String(stage.frame) } : { panels: stage.chosen.join(',') });
}
