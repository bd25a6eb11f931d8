// @ts-check
// The address: the recipe's fields as the server writes them, and what only this page knows.

import { outer } from './frame.js';
import { placeOf } from './lessons.js';

// A link to a lesson's step that says nothing else shows what that step shows.
function read() {
  const asked = new URLSearchParams(location.search);
  const own = [...asked].filter(([name]) => !/^__|^(tab|panels|frame|lesson|step|present)$/.test(name));
  const place = placeOf(asked), step = place && place.lesson.steps[place.number];
  const bare = step && !own.length && !asked.has('tab');
  return {
    recipe: bare ? step.query : new URLSearchParams(own).toString(),
    tab: asked.get('tab') || (bare ? step.tab : 'denoise'),
    panels: asked.get('panels') || (bare ? step.panels : ''), frame: asked.get('frame') || '',
    lesson: place ? place.lesson.name : '', step: place ? place.number : 0, present: asked.has('present'),
  };
}

export const address = read();

/** Whether the address that the page was opened with asks for anything. */
export const linked = Boolean(address.recipe || address.panels || address.frame || address.tab !== 'denoise') ||
  /[?&](lesson|present)\b/.test(location.search);

/** The lessons are known by now: those that the address asks for can be found. */
export function again() { Object.assign(address, read()); }

/** What of the address says how the stage stands, as it is written: nothing where that is as the lesson's step says. */
function stands() {
  const place = placeOf(new URLSearchParams({ lesson: address.lesson, step: String(address.step + 1) }));
  const step = place && place.lesson.steps[place.number];
  const parts = [], bare = step && step.query === address.recipe && step.tab === address.tab;
  if (step) parts.push(`lesson=${address.lesson}`, `step=${address.step + 1}`);
  if (!bare) {
    parts.push(address.recipe);
    if (step || address.tab !== 'denoise') parts.push(`tab=${address.tab}`);
  }
  if (address.panels && !(bare && step.panels === address.panels)) parts.push(`panels=${address.panels}`);
  if (address.frame) parts.push(`frame=${address.frame}`);
  if (address.present) parts.push('present=');
  return parts;
}

/**
 * What a visitor has changed is a step of the history, which Back undoes; how one looks at it is not.
 * @param {Partial<typeof address>} changes
 */
export function write(changes, step = false) {
  Object.assign(address, changes);
  const parts = stands();
  const theme = new URLSearchParams(location.search).get('__theme');
  if (theme) parts.push(`__theme=${theme}`);
  const query = parts.filter(Boolean).join('&');
  const url = location.pathname + (query ? `?${query}` : '') + location.hash;
  if (url === location.pathname + location.search + location.hash) return;
  history[step ? 'pushState' : 'replaceState'](history.state, '', url);
  shown = location.search;
  outer();
}

let restore = () => {}, placed = () => {};

/** `then()`: the browser has gone Back or Forward, to what stands in the address now. */
export function onWalk(then) { restore = then; }

/** `then()`: the address may speak of another step of a lesson now. */
export function onPlace(then) { placed = then; }

let shown = location.search; // what the page shows, or is on its way to

function arrived() {
  shown = location.search;
  Object.assign(address, read());
  outer();
  placed();
  restore();
}

// To another place in the page leads no way back from a recipe.
window.addEventListener('popstate', () => { if (location.search !== shown) arrived(); });

/** To what a link of this page asks for, `?…`, without opening the page anew; Back leads here again. */
export function go(query) {
  const theme = new URLSearchParams(location.search).get('__theme');
  history.pushState(history.state, '', query + (theme ? `&__theme=${theme}` : ''));
  arrived();
}
