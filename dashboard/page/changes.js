// @ts-check
// Changes of this page and the server's answers to them, which can overtake each other: each has a number.

import { mostRecent } from '../stage/mount.js';
import { address, onWalk, write } from './address.js';
import { sets } from './folds.js';
import { outdated } from './messages.js';

// The last change, the last one that is answered, and the one that the browser's Back or Forward has been last.
let changes = 0, answered = 0, walked = 0;

/** The change whose answer is the next to come, or the last one where all are answered. */
export const awaited = () => Math.min(changes, answered + 1);

/** The number of a change that happens now, and of the last one whose answer is here. */
export const next = () => [++changes, answered];

/** The same of what changes nothing: the number of the last change. */
export const last = () => [changes, answered];

/**
 * A value that was refused is marked in its box, until another stands there or all that stands there is taken.
 * @param {string | undefined} refused the field that was to blame; none where all was taken
 */
function mark(refused) {
  /** @type {NodeListOf<HTMLInputElement>} */
  const marked = document.querySelectorAll('#recipe input[aria-invalid]');
  for (const box of marked) {
    if (!refused || box.value !== box.dataset.refused) box.removeAttribute('aria-invalid');
  }
  /** @type {HTMLInputElement | null} */
  const box = refused ? document.querySelector(`#field-${refused} input`) : null;
  if (!box) return;
  box.setAttribute('aria-invalid', 'true');
  box.dataset.refused = box.value;
}

/** What the server says of the recipe: how it stands in the address, and what there is for it. */
function told(value) {
  if (!value || value.number < answered) return;
  mark(value.refused);
  if (value.refused) return;
  answered = value.number;
  outdated(answered);
  // An answer to what was before a Back would put its own address over that of the Back.
  if (answered >= walked) write({ recipe: value.query }, value.number > 0);
  mostRecent(value.recipe);
  document.body.dataset.has = value.has.join(' ');
  sets(value.has);
}

/** The component through which the server tells. */
export function pageState({ props, watch, restore, front }) {
  document.body.dataset.has ||= props.value.has.join(' ');
  sets(props.value.has);
  mostRecent(props.value.recipe);
  onWalk(() => {
    walked = changes + 1;
    restore(location.search);
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && address.tab === 'train') front();
  });
  watch('value', () => told(props.value));
}
