// @ts-check
// Messages over the page: each stands there once, and what was wrong no longer than it is.

import { afterChanges } from '../../core/drawing/stage/dom.js';

const TOAST = '[data-testid=toast-body]', HERE = ':not([data-ns-gone])';

/**
 * The messages that stand there, the earliest first. Gradio gathers those of a kind in one toast.
 * @returns {NodeListOf<HTMLElement>}
 */
const standing = () => document.querySelectorAll(`${TOAST}${HERE} .toast-message-item${HERE}`);

/**
 * A message goes, and with the last of its kind their toast.
 * @param {HTMLElement} message
 */
function close(message) {
  message.dataset.nsGone = 'yes';
  /** @type {HTMLElement | null} */
  const toast = message.closest(TOAST);
  if (toast.querySelector(`.toast-message-item${HERE}`)) return;
  toast.dataset.nsGone = 'yes'; // it takes a moment to fade
  /** @type {HTMLElement | null} */
  const button = toast.querySelector('[data-testid=toast-close]');
  button?.click();
}

/**
 * Of messages that say the same one stays; every one knows of which change it can be at the latest.
 * @param {() => number} awaited the change whose answer is the next to come: what is said now may be of that one, and
 * not of a later one that has been made meanwhile
 */
export function watchMessages(awaited) {
  afterChanges(() => {
    /** @type {Map<string, HTMLElement>} */
    const said = new Map();
    for (const message of standing()) {
      message.dataset.nsAfter ??= String(awaited());
      const text = message.innerText, first = said.get(text);
      if (!first) said.set(text, message);
      else {
        first.dataset.nsAfter = String(Math.max(Number(first.dataset.nsAfter), Number(message.dataset.nsAfter)));
        close(message);
      }
    }
  });
}

/** Change `number` was taken: errors of before it are not true any more, nor what was said of what was shown. */
export function outdated(number) {
  for (const message of standing()) {
    const passing = message.closest(`${TOAST}:is(.error, .info)`);
    if (passing && Number(message.dataset.nsAfter) < number) close(message);
  }
}
