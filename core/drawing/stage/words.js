// @ts-check
// The glossary at hand: every symbol and term, where it stands, answers a pointer, the focus and a tap with what it is.

import { make } from './dom.js';
import { nodes, rich } from './markup.js';
import { found, glossary } from './terms.js';

const SOON = 250, LATE = 200; // milliseconds until an explanation comes under a resting pointer, and until it goes
/** @typedef {Record<string, {title: string, href: string}>} Lessons by the key of the term that they explain */
/** @type {Lessons | null} */
let lessons = null;
/** @type {() => Lessons} */
let taught = () => ({});

/** `byTerm()`: which lesson explains a term. It is asked when first a term is. */
export function teach(byTerm) { taught = byTerm; }

// ---- writing them ----

/** @type {WeakMap<Element, {terms: string[], title: string, note: string}>} */
const about = new WeakMap();
const written = new WeakMap();

/** As `rich`, with every term in it explained where it stands; the first time it stands there it can have the focus. */
export function explain(node, text, equation = false) {
  if (written.get(node) === text) return;
  written.set(node, text);
  const parts = [], met = new Set();
  let from = 0;
  for (const [begin, end, key] of found(text, equation)) {
    parts.push(...nodes(text.slice(from, begin)));
    const word = make('span', 'ns-term', {}, ...nodes(text.slice(begin, end)));
    if (!met.has(key)) Object.assign(word, { tabIndex: 0, role: 'button' });
    met.add(key);
    about.set(word, { terms: [key], title: '', note: '' });
    parts.push(word);
    from = end;
  }
  node.replaceChildren(...parts, ...nodes(text.slice(from)));
}

/** An element that answers as a whole, as a button does: with a note of its own, and the terms in its title. */
export function answers(node, title, note) {
  const said = about.get(node);
  if (said && said.title === title && said.note === note) return; // a panel says so with every frame
  node.classList.add('ns-answers');
  about.set(node, { terms: [...new Set(found(title).map(([, , key]) => key))], title, note });
}

// ---- explaining them ----

const box = make('div', 'ns-answer-box', { role: 'tooltip', id: 'ns-answer-box' });
let anchor = null, timer = 0;

function headed(symbol, words = '') {
  const head = make('p', 'ns-term-head'), name = make('b');
  rich(name, symbol);
  head.append(name, words);
  return head;
}

// What a term is; of one that a note says, only where it stands.
function entry(key, noted = false) {
  const term = glossary[key], formula = make('p', 'ns-term-formula');
  /** @type {HTMLElement[]} */
  const parts = noted ? [] : [headed(term.symbol, ` ${term.name}`), make('p', '', {}, term.sentence)];
  if (term.formula) {
    rich(formula, term.formula);
    parts.push(formula);
  }
  lessons ||= taught();
  const lesson = lessons[key];
  if (lesson) parts.push(make('a', 'ns-term-lesson', { href: lesson.href, 'data-ns': 'go' }, lesson.title));
  return parts;
}

/**
 * Say what an element answers.
 * @param {Element} node
 * @param {Element} [beside] what the answer must not cover, and stands to the right of where there is room
 */
export function show(node, beside) {
  clearTimeout(timer);
  const { terms, title, note } = about.get(node);
  const noted = Boolean(note) && terms.length === 1;
  box.replaceChildren(...(title ? [headed(title)] : []), ...(note ? [make('p', '', {}, note)] : []),
    ...terms.flatMap(key => entry(key, noted)));
  if (!box.childNodes.length) return hide();
  if (anchor && anchor !== node) anchor.removeAttribute('aria-describedby');
  anchor = node;
  document.body.append(box);
  node.setAttribute('aria-describedby', 'ns-answer-box');
  const at = node.getBoundingClientRect(), { width, height } = box.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - width - 8));
  const below = at.bottom + 6, top = below + height < innerHeight ? below : Math.max(8, at.top - height - 6);
  const right = beside ? beside.getBoundingClientRect().right + 12 : Infinity, fits = right + width + 8 < innerWidth;
  const place = fits ? [right, Math.max(8, Math.min(at.top, innerHeight - height - 8))] : [left, top];
  Object.assign(box.style, { left: `${place[0] + scrollX}px`, top: `${place[1] + scrollY}px` });
}

function hide() {
  clearTimeout(timer);
  if (anchor) anchor.removeAttribute('aria-describedby');
  anchor = null;
  box.remove();
}

const asked = target => (target instanceof Element ? target.closest('.ns-term, .ns-answers') : null);
const explained = node => node && about.has(node);

document.addEventListener('pointerover', ({ target, pointerType }) => {
  if (pointerType === 'touch') return;
  const node = asked(target);
  clearTimeout(timer);
  if (explained(node) && node !== anchor) timer = setTimeout(() => show(node), SOON);
  else if (!node && anchor && !box.contains(/** @type {Node} */ (target))) timer = setTimeout(hide, LATE);
});
document.addEventListener('focusin', ({ target }) => {
  const node = asked(target);
  if (explained(node) && node === target && node.matches(':focus-visible')) show(node);
  else if (anchor && !box.contains(/** @type {Node} */ (target))) hide();
});
document.addEventListener('click', event => {
  const { target } = event, node = asked(target);
  if (explained(node)) {
    if (node.closest('label')) event.preventDefault(); // the focus would go to what it labels, and the answer with it
    show(node);
  } else if (!box.contains(/** @type {Node} */ (target))) hide();
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && anchor) hide();
  const term = event.target instanceof Element && event.target.matches('.ns-term, .ns-panel-title');
  if (!term || (event.key !== 'Enter' && event.key !== ' ')) return;
  event.preventDefault();
  show(event.target);
});

// ---- all of them ----

/** The whole glossary, as a page over the page; `key` stands in sight. */
export function openGlossary(key = '') {
  hide();
  document.querySelector('.ns-glossary')?.remove();
  const list = make('div', 'ns-glossary-list');
  for (const name of Object.keys(glossary)) list.append(make('section', '', { id: `word-${name}` }, ...entry(name)));
  const close = make('button', 'ns-pill', { type: 'submit', 'aria-label': 'close the glossary' }, 'close');
  const head = make('header', '', {}, make('h2', '', { id: 'ns-glossary-title' }, 'Glossary'), close);
  const dialog = make('dialog', 'ns-glossary', { 'aria-labelledby': 'ns-glossary-title' },
    make('form', '', { method: 'dialog' }, head), list);
  dialog.onclose = () => {
    dialog.remove();
    if (asksFor().length) history.replaceState(history.state, '', location.pathname + location.search);
  };
  document.body.append(dialog);
  dialog.showModal();
  if (key) document.getElementById(`word-${key}`)?.scrollIntoView();
}

// What the address asks for: [all], [all, one word in it] or nothing.
const asksFor = () => /^#(glossary)$|^#word-(\w+)$/.exec(location.hash) || [];

/** To what a link says: `#glossary`, or `#word-…` for one word in it. */
export function followHash() {
  const [all, , key] = asksFor();
  if (all) openGlossary(key);
}
