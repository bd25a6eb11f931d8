// A pad to draw on: ink on a small square, handed over as a PNG when it is to be used.
(function (N) {
  'use strict';

  const SIDE = 160, INK = 7; // pixels of the picture that is sent, and the pen's width in them

  N.pad = (element, { trigger }) => {
    const canvas = N.make('canvas', 'ns-pad', { width: SIDE, height: SIDE, 'aria-label': 'drawing pad' });
    const use = N.make('button', 'ns-pill', { type: 'button' }, 'use the drawing');
    const clear = N.make('button', 'ns-pill', { type: 'button' }, 'clear');
    element.querySelector('.ns-pad-root').replaceChildren(canvas, N.make('div', 'ns-pad-tools', {}, use, clear));
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
      pen.moveTo(...last);
      pen.lineTo(...next);
      pen.stroke();
      [last, empty] = [next, false];
    };
    canvas.onpointerdown = event => { canvas.setPointerCapture(event.pointerId); last = at(event); stroke(event); };
    canvas.onpointermove = stroke;
    canvas.onpointerup = canvas.onpointercancel = () => { last = null; };
    clear.onclick = wipe;
    use.onclick = () => trigger(empty ? '' : canvas.toDataURL('image/png'));
    wipe();
  };
})(window.Noisescope = window.Noisescope || {});
