// @ts-check
// What of the sidebar lies folded: a press opens it, which the browser remembers, and so does a recipe that sets some
// of it.

const KEPT = 'noisescope-folds';
/** @type {Set<string>} */
const open = new Set((localStorage.getItem(KEPT) || '').split(' ').filter(Boolean));
let set = new Set(); // the folds that the recipe sets some of

function paint() {
  const { body } = document;
  body.dataset.folds = [...open].join(' ');
  label();
}

/** Gradio puts the buttons up as it likes: each is told again whether its fold is open. */
export function label() {
  for (const button of document.querySelectorAll('[data-fold]')) {
    const now = String(open.has(button.getAttribute('data-fold')));
    if (button.getAttribute('aria-expanded') !== now) button.setAttribute('aria-expanded', now);
  }
}

/** Something of the sidebar in the middle of it; the page stays where it stands, unless the sidebar scrolls with it. */
export function reveal(node) {
  const bar = document.getElementById('recipe');
  if (bar.scrollHeight <= bar.clientHeight) return node.scrollIntoView({ block: 'center' });
  const [around, inside] = [bar, node].map(one => one.getBoundingClientRect());
  bar.scrollTop += inside.top - around.top - Math.max(0, (around.height - inside.height) / 2);
}

export function toggle(name) {
  if (!open.delete(name)) open.add(name);
  localStorage.setItem(KEPT, [...open].join(' '));
  paint();
}

/** The recipe holds these facts: a fold of which it newly sets some is opened. */
export function sets(facts) {
  const now = new Set(facts.filter(fact => fact.startsWith('sets-')).map(fact => fact.slice(5)));
  for (const name of now) if (!set.has(name)) open.add(name);
  set = now;
  paint();
}
