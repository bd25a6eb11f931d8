// @ts-check
// The page inside another: many see a Space in a frame of another site. There the browser may refuse storage and the
// clipboard, it shows no dialogs, and the address that people see and share is the outer one.

import { make } from '../../core/drawing/stage/dom.js';

const HUB = 'https://huggingface.co';

let space = ''; // "user/name", where this is one

export function onSpace(name) { space = name; }

// What the browser does not keep is kept for as long as the page is open. Gradio reads it while the page is put up.
class Memory {
  #kept = new Map();
  get length() { return this.#kept.size; }
  key(i) { return [...this.#kept.keys()][i] ?? null; }
  getItem(name) { return this.#kept.get(String(name)) ?? null; }
  setItem(name, value) { this.#kept.set(String(name), String(value)); }
  removeItem(name) { this.#kept.delete(String(name)); }
  clear() { this.#kept.clear(); }
}

for (const name of ['localStorage', 'sessionStorage']) {
  try {
    window[name].getItem('');
  } catch {
    Object.defineProperty(window, name, { value: new Memory(), configurable: true });
  }
}

function around() {
  if (window.parent === window) return '';
  const [origin] = location.ancestorOrigins || [];
  return origin || (document.referrer && new URL(document.referrer).origin);
}

const onHub = around() === HUB;

// Names that begin with "__" are Gradio's, for this frame alone.
function shared() {
  return location.search.replace(/^\?/, '').split('&').filter(part => part && !part.startsWith('__')).join('&');
}

// The address has changed: the page around this one is told, as Hugging Face documents it
// (https://huggingface.co/docs/hub/spaces-handle-url-parameters).
export function outer() {
  if (onHub) window.parent.postMessage({ queryString: shared(), hash: location.hash }, HUB);
}

// What is shared: the address that people see.
function link() {
  if (!onHub || !space) return location.href;
  const query = shared();
  return `${HUB}/spaces/${space}${query ? `?${query}` : ''}${location.hash}`;
}

// Where the page may not write to the clipboard, the link is shown, selected, to be copied by hand.
function show(text) {
  const field = make('input', '', { type: 'text', readonly: '', value: text, 'aria-label': 'link to this page' });
  const close = make('button', '', { type: 'submit' }, 'Close');
  const words = make('p'), form = make('form', '', { method: 'dialog' }, words, field, close);
  const dialog = make('dialog', 'ns-link', {}, form);
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
  field.select();
  words.textContent = document.execCommand('copy') ? 'Copied:' : 'Copy this link:';
}

export async function copy(button) {
  const was = button.textContent;
  try {
    await navigator.clipboard.writeText(link());
  } catch {
    return show(link());
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = was; }, 1500);
}
