// @ts-check
// A pad to draw on: ink on a small square, handed over as a PNG when it is to be used.

import { make } from '../../core/drawing/stage/dom.js';

const SIDE = 160, INK = 7; // pixels of the picture that is sent, and the pen's width in them

export function pad(element, { trigger }) {
  const canvas = make('canvas', 'ns-pad', { width: SIDE, height: SIDE, 'aria-label': 'drawing pad', tabindex: -1 });
  const use = make('button', 'ns-pill', { type: 'button' }, 'use the drawing');
  const clear = make('button', 'ns-pill', { type: 'button' }, 'clear');
  element.querySelector('.ns-pad-root').replaceChildren(canvas, make('div', 'ns-pad-tools', {}, use, clear));
  const pen = canvas.getContext('2d');
  Object.assign(pen, { lineWidth: INK, lineCap: 'round', lineJoin: 'round', strokeStyle: '#000' });
  let last = null, empty = true;
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  };
  const wipe = () => { pen.fillStyle = '#fff'; pen.fillRect(0, 0, SIDE, SIDE); empty = true; };
  const stroke = event => {
    if (!last) return;
    const next = at(event);
    pen.beginPath();
    pen.moveTo(last[0], last[1]);
    pen.lineTo(next[0], next[1]);
    pen.stroke();
    [last, empty] = [next, false];
  };
  canvas.onpointerdown = event => { canvas.setPointerCapture(event.pointerId); last = at(event); stroke(event); };
  canvas.onpointermove = stroke;
  canvas.onpointerup = canvas.onpointercancel = () => { last = null; };
  clear.onclick = wipe;
  use.onclick = () => {
    document.body.classList.remove('ns-open'); // where the sidebar lies over the stage, what comes of it is seen
    trigger(empty ? '' : canvas.toDataURL('image/png'));
  };
  wipe();
}
