// @ts-check
// The address: the recipe's fields as the server writes them, and what only this page knows.

import { outer } from './frame.js';

function read() {
  const asked = new URLSearchParams(location.search);
  return {
    recipe: new URLSearchParams([...asked].filter(([name]) => !/^__|^(tab|panels|frame)$/.test(name))).toString(),
    tab: asked.get('tab') || 'denoise', panels: asked.get('panels') || '', frame: asked.get('frame') || '',
  };
}

export const address = read();

/** Whether the address that the page was opened with asks for anything. */
export const linked = Boolean(address.recipe || address.panels || address.frame || address.tab !== 'denoise');

/**
 * What a visitor has changed is a step of the history, which Back undoes; how one looks at it is not.
 * @param {Partial<typeof address>} changes
 */
export function write(changes, step = false) {
  Object.assign(address, changes);
  const parts = [address.recipe];
  if (address.tab !== 'denoise') parts.push(`tab=${address.tab}`);
  if (address.panels) parts.push(`panels=${address.panels}`);
  if (address.frame) parts.push(`frame=${address.frame}`);
  const theme = new URLSearchParams(location.search).get('__theme');
  if (theme) parts.push(`__theme=${theme}`);
  const query = parts.filter(Boolean).join('&');
  const url = location.pathname + (query ? `?${query}` : '') + location.hash;
  if (url === location.pathname + location.search + location.hash) return;
  history[step ? 'pushState' : 'replaceState'](history.state, '', url);
  outer();
}

let restore = () => {};

/** `then()`: the browser has gone Back or Forward, to what stands in the address now. */
export function onWalk(then) { restore = then; }

function arrived() {
  Object.assign(address, read());
  outer();
  restore();
}

window.addEventListener('popstate', arrived);

/** To what a link of this page asks for, `?…`, without opening the page anew; Back leads here again. */
export function go(query) {
  const theme = new URLSearchParams(location.search).get('__theme');
  history.pushState(history.state, '', query + (theme ? `&__theme=${theme}` : ''));
  arrived();
}
