// @ts-check
// How a question is answered: by a choice, a number, the playhead, a place on the stage, a curve; and what is right.

import { make } from '../../core/drawing/stage/dom.js';
import { rich } from '../../core/drawing/stage/markup.js';

const KNOTS = 9; // of a curve that is drawn
const AT = 41; // times at which it is held against the true one, as core/lessons/judge.py

const short = value => String(Number(Number(value).toPrecision(3))).replace('-', '−');

/** An answer in words. */
export function figure(question, given) {
  if (question.kind === 'playhead') return `t = ${short(given)}`;
  if (question.kind === 'place') return `(${given.map(short).join(', ')})`;
  if (question.kind === 'curve') return `from ${short(given[0][1])} at t = 0 to ${short(given.at(-1)[1])} at t = 1`;
  return short(given);
}

const height = (points, t) => {
  let [before, low] = points[0];
  if (t <= before) return low;
  for (const [after, high] of points.slice(1)) {
    if (t <= after) return low + (high - low) * (t - before) / ((after - before) || 1);
    [before, low] = [after, high];
  }
  return low;
};

/** Whether an answer was right, by what the server says of the run. */
export function isRight(question, answer, given) {
  if (given === undefined || given === null) return false;
  if (question.kind === 'choices') return Boolean(answer.holds[given]);
  const { truth, within } = answer;
  if (question.kind === 'place') return Math.hypot(given[0] - truth[0], given[1] - truth[1]) <= within;
  if (question.kind === 'curve') {
    let apart = 0;
    for (let k = 0; k < AT; k++) apart += Math.abs(height(given, k / (AT - 1)) - height(truth, k / (AT - 1)));
    return apart / AT <= within;
  }
  return Math.abs(given - truth) <= within;
}

/**
 * What a question is answered with.
 * @param {(answer: any) => void} give
 * @param {() => any} stage the one that it is about
 */
export function asking(question, given, give, stage) {
  return ({ choices, number, playhead, place, curve })[question.kind](question, given, give, stage);
}

function choices(question, given, give) {
  const group = make('div', 'ns-choices', { role: 'group', 'aria-label': 'answers' });
  question.choices.forEach((text, k) => {
    const node = make('button', 'ns-choice', { type: 'button', 'data-name': `choice-${k}` });
    node.setAttribute('aria-pressed', String(given === k));
    rich(node, text);
    node.onclick = () => give(k);
    group.append(node);
  });
  return group;
}

function box(name, label, value) {
  return make('input', 'ns-typed', { type: 'number', step: 'any', 'aria-label': label, 'data-name': name,
    ...(value === undefined ? {} : { value }) });
}

function sure(text = 'That is my answer') {
  return make('button', 'ns-lesson-button ns-give', { type: 'button', 'data-name': 'give' }, text);
}

function number(_, given, give) {
  const input = box('number', 'your answer, a number', given), press = sure();
  const take = () => {
    if (input.value !== '' && Number.isFinite(Number(input.value))) give(Number(input.value));
  };
  press.onclick = take;
  input.onkeydown = event => { if (event.key === 'Enter') take(); };
  return make('div', 'ns-answering', {}, input, press);
}

function playhead(question, given, give, stage) {
  const press = sure('Here, where the playhead is'), said = make('span', 'ns-lesson-label', { role: 'status' });
  said.textContent = given === undefined ? '' : `you said ${figure(question, given)}`;
  press.onclick = () => {
    const on = stage(), t = on && on.film && on.film.numbers.t && on.film.numbers.t[on.frame];
    if (Number.isFinite(t)) give(t);
  };
  return make('div', 'ns-answering', {}, press, said);
}

// A place is clicked on its panel, or typed.
function place(question, given, give, stage) {
  const x = box('x', 'your answer, x', given && given[0].toFixed(2));
  const y = box('y', 'your answer, y', given && given[1].toFixed(2));
  const press = sure(), label = make('span', 'ns-lesson-label', {}, 'Click on the stage, or type:');
  const node = make('div', 'ns-answering', {}, label, x, y, press);
  const clicked = event => {
    if (!node.isConnected) return document.removeEventListener('click', clicked, true);
    const at = placeUnder(event, question, stage());
    if (!at) return;
    [x.value, y.value] = at.map(value => value.toFixed(2));
    spot(question, stage(), at, 'ns-mine-spot');
  };
  document.addEventListener('click', clicked, true);
  press.onclick = () => {
    const at = [x, y].map(input => (input.value === '' ? NaN : Number(input.value)));
    if (at.every(Number.isFinite)) give(at);
  };
  return node;
}

const panelOf = question => document.querySelector(
  `#stage-${document.body.dataset.tab} .ns-panel[data-key="${CSS.escape(question.panel)}"]`);

// Where on its panel a press was, in the panel's own numbers.
function placeUnder(event, question, stage) {
  const canvas = panelOf(question)?.querySelector('canvas'), panel = stage?.film?.panels.get(question.panel);
  if (!canvas || !panel || event.target !== canvas) return null;
  const [low, high] = panel.range, area = canvas.getBoundingClientRect();
  return [low + (high - low) * (event.clientX - area.left) / area.width,
    high - (high - low) * (event.clientY - area.top) / area.height];
}

/** A ring on the panel of a question, at a place. `name` tells rings apart; one moves. */
export function spot(question, stage, at, name) {
  const node = panelOf(question), canvas = node?.querySelector('canvas');
  const panel = stage?.film?.panels.get(question.panel);
  if (!canvas || !panel) return;
  const [low, high] = panel.range, share = value => (value - low) / (high - low);
  let ring = /** @type {HTMLElement | null} */ (node.querySelector(`.${name}`));
  if (!ring) node.append(ring = make('span', `ns-spot ${name}`));
  ring.style.left = `${canvas.offsetLeft + canvas.clientWidth * share(at[0])}px`;
  ring.style.top = `${canvas.offsetTop + canvas.clientHeight * (1 - share(at[1]))}px`;
}

/** No rings are on the stage any more. */
export const unspot = () => document.querySelectorAll('.ns-spot').forEach(ring => ring.remove());

const axes = question => ({ what: question.axes[0], low: Number(question.axes[1]), high: Number(question.axes[2]) });

function element(name, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  return node;
}

// A place to draw on, 100 by 50, and how points [[t, y], …] stand on it.
const paper = () => element('svg', { viewBox: '0 0 100 50', preserveAspectRatio: 'none', class: 'ns-curve' });
const onPaper = (question, points) => {
  const { low, high } = axes(question);
  return points.map(([t, y]) => `${100 * t},${50 * (high - y) / (high - low)}`).join(' ');
};

/** The curve that was drawn and, where it is known, the true one. */
export function curves(question, given, truth) {
  const { what, low, high } = axes(question), svg = paper();
  const lines = { 'ns-mine': given, 'ns-holds': truth };
  for (const look in lines) {
    if (lines[look]) svg.append(element('polyline', { class: look, points: onPaper(question, lines[look]) }));
  }
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `${what}, from ${short(low)} below to ${short(high)} above, over t from 0 to 1`);
  return svg;
}

// A curve over t: drawn with a pointer, or each of its knots set by the arrow keys.
function curve(question, given, give) {
  const { what, low, high } = axes(question);
  const ys = given ? given.map(([, y]) => y) : Array(KNOTS).fill((low + high) / 2);
  const svg = paper(), line = element('polyline', { class: 'ns-mine' });
  svg.append(line);
  const knots = ys.map((value, k) => {
    const knot = make('input', 'ns-curve-knot', { type: 'range', min: low, max: high, step: (high - low) / 100, value,
      'aria-label': `${what} at t = ${short(k / (KNOTS - 1))}` });
    knot.oninput = () => { ys[k] = Number(knot.value); show(); };
    return knot;
  });
  const show = () => {
    line.setAttribute('points', onPaper(question, ys.map((y, k) => [k / (KNOTS - 1), y])));
    knots.forEach((knot, k) => { knot.value = String(ys[k]); });
  };
  svg.onpointerdown = event => svg.setPointerCapture(event.pointerId);
  svg.onpointermove = event => {
    if (!event.buttons) return;
    const area = svg.getBoundingClientRect(), k = Math.round((KNOTS - 1) * (event.clientX - area.left) / area.width);
    if (k < 0 || k >= KNOTS) return;
    ys[k] = Math.max(low, Math.min(high, high - (high - low) * (event.clientY - area.top) / area.height));
    show();
  };
  show();
  const press = sure();
  press.onclick = () => give(ys.map((y, k) => [k / (KNOTS - 1), y]));
  const label = `Draw: ${what} from ${short(low)} to ${short(high)}, over t from 0 to 1`;
  return make('div', 'ns-drawing', {}, make('span', 'ns-lesson-label', {}, label),
    make('div', 'ns-curve-board', {}, svg, make('div', 'ns-curve-knots', {}, ...knots)), press);
}
