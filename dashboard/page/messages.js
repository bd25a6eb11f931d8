// @ts-check
// Messages over the page: each stands there once, and an error no longer than what was wrong.

import { afterChanges } from '../../core/drawing/stage/dom.js';

const TOAST = '[data-testid=toast-body]';

/** @param {Element} toast */
function close(toast) {
  if (!(toast instanceof HTMLElement) || toast.dataset.nsGone) return;
  toast.dataset.nsGone = 'yes'; // it takes a moment to fade
  /** @type {HTMLElement | null} */
  const button = toast.querySelector('[data-testid=toast-close]');
  button?.click();
}

/**
 * Of messages that say the same the last one stays; every one knows after which change it came.
 * @param {() => number} changes how many there have been
 */
export function watchMessages(changes) {
  afterChanges(() => {
    /** @type {Map<string, HTMLElement>} */
    const said = new Map();
    /** @type {NodeListOf<HTMLElement>} */
    const toasts = document.querySelectorAll(`${TOAST}:not([data-ns-gone])`);
    for (const toast of toasts) {
      toast.dataset.nsAfter ??= String(changes());
      const before = said.get(toast.innerText);
      if (before) close(Number(before.dataset.nsAfter) > Number(toast.dataset.nsAfter) ? toast : before);
      said.set(toast.innerText, toast);
    }
  });
}

/** Change `number` was taken: errors of before it are not true any more. */
export function outdated(number) {
  for (const toast of document.querySelectorAll(`${TOAST}.error`)) {
    if (toast instanceof HTMLElement && Number(toast.dataset.nsAfter) < number) close(toast);
  }
}
