// @ts-check
// The schedule: a name out of a menu, or log-SNR over t along lines through knots that are dragged.

import { make } from '../../core/drawing/stage/dom.js';

const DRAWN = 'drawn'; // the menu's word for every curve of one's own
const VIEW = 12; // log-SNR from −VIEW to VIEW, more only where a knot lies beyond
const GAP = { t: 0.01, l: 0.05 }; // knots stay this far apart
const OUT = 24; // pixels beyond the edge at which a knot is thrown away
const PAUSE = 250; // milliseconds after the last key until it counts as come to rest
const MOVES = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, 0.25], ArrowDown: [0, -0.25] };

const shown = value => value.toFixed(2).replace('-', '−');

function shape(tag, className, attributes = {}) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries({ class: className, ...attributes })) node.setAttribute(name, value);
  return node;
}

export function knots(element, { props, watch, told }) {
  const { choices, prefix, first, most, limit } = props;
  const menu = make('select', '', { 'aria-label': 'schedule' });
  for (const { value, label } of [...choices, { value: DRAWN, label: DRAWN }]) {
    menu.append(make('option', '', { value }, label));
  }
  const svg = shape('svg', 'ns-knots-plot', { role: 'group', 'aria-label': 'log-SNR over t, through knots' });
  const hint = make('p', 'ns-knots-hint', { 'aria-live': 'polite' });
  const editor = make('div', 'ns-knots-editor', {}, svg, hint);
  const row = make('label', 'ns-knots-row', {}, make('span', '', {}, 'schedule'), menu);
  element.querySelector('.ns-knots').replaceChildren(row, editor);

  let value = null, drawn = first, curve = [], view = VIEW, held = -1, thrown = false, waiting = 0;

  const write = () => prefix + curve.map(({ t, l }) => `${t},${l}`).join(';');
  const isEnd = i => i === 0 || i === curve.length - 1;
  const left = t => `${100 * t}%`, top = l => `${50 * (1 - l / view)}%`;

  function tell(next) {
    if (next === value) return;
    if (next.startsWith(prefix)) drawn = next;
    props.value = value = next;
    told();
  }

  // Between its neighbours, and the ends on their side of 0: noise only grows. NaN where there is no room.
  function within(low, high, wanted, digits) {
    return low > high ? NaN : Number(Math.min(high, Math.max(low, wanted)).toFixed(digits)) || 0;
  }

  function place(t, l, before, after) {
    const time = before && after ? within(before.t + GAP.t, after.t - GAP.t, t, 3) : before ? 1 : 0;
    const high = before ? before.l - GAP.l : limit, low = after ? after.l + GAP.l : -limit;
    const level = within(before ? low : Math.max(low, GAP.l), after ? high : Math.min(high, -GAP.l), l, 2);
    return Number.isNaN(time + level) ? null : { t: time, l: level };
  }

  function move(i, t, l) {
    curve[i] = place(t, l, curve[i - 1], curve[i + 1]) || curve[i];
    draw();
  }

  function add(t, l) {
    const i = curve.findIndex(knot => knot.t > t);
    const knot = i > 0 && curve.length < most && place(t, l, curve[i - 1], curve[i]);
    if (!knot) return;
    curve.splice(i, 0, knot);
    rest(i);
  }

  function remove(i) {
    if (isEnd(i)) return;
    curve.splice(i, 1);
    rest(i - 1);
  }

  // A hand has let go: the view fits again, and who listens is told.
  function rest(i) {
    fit();
    draw();
    svg.querySelectorAll('circle')[i].focus();
    tell(write());
  }

  // What keys have moved is told, unless another schedule was chosen meanwhile.
  function settle() {
    clearTimeout(waiting);
    if (menu.value === DRAWN) tell(write());
  }

  function fit() { view = Math.max(VIEW, ...curve.map(({ l }) => Math.abs(l))); }

  function at({ clientX, clientY }) {
    const box = svg.getBoundingClientRect();
    const beyond = Math.max(box.left - clientX, clientX - box.right, box.top - clientY, clientY - box.bottom);
    return { t: (clientX - box.left) / box.width, l: view * (1 - 2 * (clientY - box.top) / box.height), beyond };
  }

  function say(i) {
    const { t, l } = curve[i];
    hint.textContent = thrown ? 'let go to remove this knot' : `t = ${shown(t)}   log-SNR = ${shown(l)}`;
  }

  function rule() {
    const more = curve.length < most ? 'double click adds' : `${most} are the most`;
    hint.textContent = `${more}, drag out removes`;
  }

  function circle(i) {
    const node = shape('circle', 'ns-knot', { r: 5, tabindex: 0, role: 'slider', 'aria-orientation': 'vertical' });
    node.onpointerdown = event => {
      if (event.button) return;
      node.setPointerCapture(event.pointerId);
      held = i;
      say(i);
    };
    node.onpointermove = event => {
      if (held !== i) return;
      const { t, l, beyond } = at(event);
      thrown = beyond > OUT && !isEnd(i);
      move(i, t, Math.min(view, Math.max(-view, l)));
      say(i);
    };
    node.onpointerup = node.onpointercancel = event => {
      if (held !== i) return;
      held = -1;
      const out = thrown && event.type === 'pointerup';
      thrown = false;
      if (out) remove(i);
      else rest(i);
    };
    node.onkeydown = event => {
      if (MOVES[event.key]) {
        const [t, l] = MOVES[event.key];
        move(i, curve[i].t + t, curve[i].l + l);
        fit();
        draw();
        say(i);
      } else if (event.key === 'Delete' || event.key === 'Backspace') remove(i);
      else return;
      event.preventDefault();
    };
    node.onkeyup = event => {
      if (!MOVES[event.key]) return;
      clearTimeout(waiting);
      waiting = setTimeout(settle, PAUSE);
    };
    node.onfocus = () => say(i);
    node.onblur = () => {
      rule();
      if (held < 0) settle();
    };
    return node;
  }

  function draw() {
    const nodes = svg.querySelectorAll('circle');
    if (nodes.length !== curve.length) {
      svg.replaceChildren(shape('rect', 'ns-knots-field', { width: '100%', height: '100%' }),
        shape('line', 'ns-knots-zero', { x1: 0, x2: '100%', y1: '50%', y2: '50%' }),
        ...curve.slice(1).map(() => shape('line', 'ns-knots-curve')),
        // Where a falling curve leaves room.
        shape('text', '', { x: '100%', y: 13, dx: -6, 'text-anchor': 'end' }),
        shape('text', '', { x: 0, y: 113, dx: 6 }),
        ...curve.map((_, i) => circle(i)));
    }
    const [range, ends] = svg.querySelectorAll('text');
    range.textContent = `log SNR, ±${view}`;
    ends.textContent = 't: 0 data … 1 noise';
    svg.querySelectorAll('.ns-knots-curve').forEach((line, i) => {
      const a = curve[i], b = curve[i + 1];
      const way = { x1: left(a.t), y1: top(a.l), x2: left(b.t), y2: top(b.l) };
      for (const [name, is] of Object.entries(way)) line.setAttribute(name, is);
    });
    svg.querySelectorAll('circle').forEach((node, i) => {
      const { t, l } = curve[i];
      const is = { cx: left(t), cy: top(l), 'aria-label': `knot ${i + 1} of ${curve.length}`, 'aria-valuemin': -limit,
        'aria-valuemax': limit, 'aria-valuenow': l, 'aria-valuetext': `t ${shown(t)}, log-SNR ${shown(l)}` };
      for (const [name, to] of Object.entries(is)) node.setAttribute(name, to);
      node.classList.toggle('ns-thrown', thrown && held === i);
    });
  }

  function load() {
    if (props.value === value) return;
    value = props.value || '';
    const own = value.startsWith(prefix);
    menu.value = own ? DRAWN : value;
    editor.hidden = !own;
    if (!own) return;
    drawn = value;
    curve = value.slice(prefix.length).split(';').map(pair => pair.split(',').map(Number)).map(([t, l]) => ({ t, l }));
    fit();
    draw();
    rule();
  }

  menu.onchange = () => {
    const next = menu.value === DRAWN ? drawn : menu.value;
    props.value = next;
    load();
    told();
  };
  svg.ondblclick = event => {
    if (event.target.matches('circle')) return;
    const { t, l } = at(event);
    add(t, l);
  };
  watch('value', load);
  load();
}
