// @ts-check
// Elements, and the pixels of a canvas.

/**
 * An element: make('button', 'ns-chip', {type: 'button'}, children…)
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} attributes
 * @param {(Node | string)[]} children
 */
export function make(tag, className = '', attributes = {}, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.append(...children);
  return node;
}

/**
 * A file of the server's comes down.
 * @param {{url: string, orig_name?: string}} file
 */
export function download({ url, orig_name = '' }) {
  const link = make('a', '', { href: url, download: orig_name });
  document.body.append(link);
  link.click();
  link.remove();
}

const WHILE = 20; // milliseconds whose changes of the document are answered together

/**
 * Call `act` soon after elements have come or gone: a page that is put up changes hundreds of times.
 * @param {() => void} act
 */
export function afterChanges(act) {
  let due = 0;
  new MutationObserver(() => {
    due ||= window.setTimeout(() => { due = 0; act(); }, WHILE);
  }).observe(document.body, { childList: true, subtree: true });
}

/** An icon of one path, in a square of 16. */
export const svg = path => {
  const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  icon.setAttribute('viewBox', '0 0 16 16');
  icon.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  shape.setAttribute('d', path);
  icon.append(shape);
  return icon;
};

/**
 * Give a canvas as many pixels as its place on the screen has; true if that changed.
 * @param {HTMLCanvasElement} canvas
 */
export function fit(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width === width && canvas.height === height) return false;
  Object.assign(canvas, { width, height });
  return true;
}
