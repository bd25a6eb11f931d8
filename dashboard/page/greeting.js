// @ts-check
// The greeting of a page that was opened without asking for anything: it stays until it is sent away, which the browser
// remembers.

import { go, linked } from './address.js';
import { reveal } from './folds.js';
import { whenReady } from './ready.js';
import { stageOf } from './tabs.js';

const KEPT = 'noisescope-greeted';

/** Before the page is put up, so that nothing moves when it is. */
export function greet() {
  document.documentElement.classList.toggle('ns-greets', !linked && !localStorage.getItem(KEPT));
}

// The film from its start, in sight.
function watch() {
  const stage = stageOf('stage-denoise');
  if (!stage) return;
  stage.play();
  document.getElementById('stage-denoise')?.scrollIntoView({ block: 'nearest' });
}

/** The pad to draw on, in sight, wherever the sidebar stands, as soon as there is one. */
export function openPad() {
  document.body.classList.add('ns-open');
  whenReady(unfold);
}

function unfold() {
  const fold = /** @type {HTMLElement | null} */ (document.querySelector('#recipe .ns-own > button'));
  if (fold && !fold.classList.contains('open')) fold.click();
  const found = new MutationObserver(() => show());
  const show = () => {
    const pad = /** @type {HTMLElement | null} */ (document.querySelector('#own-pad .ns-pad'));
    if (!pad || !pad.offsetParent) return;
    found.disconnect();
    reveal(pad);
    pad.focus({ preventScroll: true });
  };
  found.observe(document.body, { childList: true, subtree: true, attributes: true });
  show();
}

/** What stands on a button of the greeting → what it does. Returns whether the press was meant for it. */
export function pressed(button, event) {
  const { ns } = button.dataset;
  if (ns === 'watch') watch();
  else if (ns === 'draw') openPad();
  else if (ns === 'greeted') {
    localStorage.setItem(KEPT, 'yes');
    document.documentElement.classList.remove('ns-greets');
  } else if (ns === 'go' && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
    event.preventDefault();
    go(button.getAttribute('href'));
  } else return false;
  return true;
}
