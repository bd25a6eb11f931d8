// @ts-check
// A page that is one film and nothing else. It opens from a disk, in a frame, in a notebook, and asks nobody for
// anything: what it shows lies in it, deflated and in base64.

import { Doctor } from './doctor.js';
import { make } from './dom.js';
import { dress } from './look.js';
import { Stage } from './stage.js';

const PAUSE = 50; // milliseconds in which the first part begins to move, before the others are unpacked

/** What lies in the element of that id. */
export function unpacked(id) {
  const letters = atob(document.getElementById(id).textContent), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer();
}

// Light or dark as the reader's system asks, until the button says otherwise.
export function themes(dark) {
  const asked = matchMedia('(prefers-color-scheme: dark)'), { classList } = document.body;
  const follow = () => classList.toggle('dark', dark || asked.matches);
  const button = make('button', 'ns-pill ns-theme', { type: 'button', 'aria-label': 'light or dark' }, '◐');
  button.onclick = () => {
    asked.removeEventListener('change', follow);
    classList.toggle('dark');
  };
  asked.addEventListener('change', follow);
  follow();
  return button;
}

/** The colours that lie in the element of that id. */
export async function coloured(id) { dress(JSON.parse(new TextDecoder().decode(await unpacked(id)))); }

// A frame of the same origin, as a notebook has it, is made as high as what stands in it.
function fit() {
  const frame = /** @type {HTMLElement | null} */ (window.frameElement); // null for one of another origin
  if (!frame || !frame.hasAttribute('data-fits')) return;
  const height = () => { frame.style.height = `${document.body.offsetHeight}px`; };
  new ResizeObserver(height).observe(document.body);
}

/**
 * @param {object} film
 * @param {string[]} film.chunks ids of the elements that hold it, in their order
 * @param {string} film.colours and its colours
 * @param {string | null} film.findings and what is said beside it
 * @param {string[]} film.shown panels that are on at first
 * @param {number} film.total frames
 * @param {string} film.question the headline
 * @param {boolean} film.dark whether it begins dark, whatever the system asks
 * @param {boolean} film.loop
 * @param {{starts: number[], hold: number}} film.clock
 */
export async function play({ chunks, colours, findings, shown, total, question, dark, loop, clock }) {
  const theme = themes(dark), root = document.getElementById('stage');
  const first = total ? unpacked(chunks[0]) : null; // on its way while the rest is put up
  fit();
  await coloured(colours);
  const told = findings ? { path: findings } : null;
  if (!total) {
    const doctor = new Doctor({ bring: unpacked, ask: null });
    const head = make('header', 'ns-head', {}, make('h2', 'ns-question', {}, question), theme);
    root.replaceChildren(make('div', 'ns-stage', {}, head, doctor.node));
    doctor.load(told);
    return;
  }
  const options = { question, shown, empty: 'opening …', autoplay: true, uses: [], renew: '', clock };
  const bring = async path => {
    await first;
    if (path === chunks[0]) return first;
    await new Promise(done => { setTimeout(done, PAUSE); });
    return unpacked(path);
  };
  const stage = new Stage(root, options, { bring, tell: () => {} });
  stage.transport.loop = loop;
  stage.transport.label();
  stage.transport.node.append(theme);
  Object.assign(root, { noisescope: stage.handle });
  stage.load({ film: 'film', chunks: chunks.map(path => ({ path })), findings: told, done: true, total });
}
