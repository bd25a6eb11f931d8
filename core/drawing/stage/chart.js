// @ts-check
// A small chart on canvas: few round ticks, faint grid, curves named at their ends, a cursor that is the playhead.

import { courseOf } from './course.js';
import { fit, make } from './dom.js';
import { short } from './format.js';
import { askedOf, columnBeside, isOpen, raised, saidOf, stroked, withGuess } from './guess.js';
import { lookNow, onTheme } from './look.js';
import { plain } from './markup.js';
import { LINE, decades, extent, finite, linear, span, spread } from './scale.js';
import { explain } from './words.js';

const NOTHING = []; // drawn
const ROWS = 3; // of what marks say
const FONT = '11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';

class ChartView {
  canvas = make('canvas', 'ns-plot', { role: 'img', tabindex: 0 });
  base = document.createElement('canvas'); // all but the cursor
  readout = make('span', 'ns-readout');
  chart = null;
  course = ''; // how its curves run
  known = null; // the chart without what was drawn on it
  drawn = []; // what was guessed of it
  drawing = false; // a hand draws
  cursor = null;
  frame = 0;
  pointer = null; // where it is over the plot
  dragging = false;
  reading = NaN; // what is read by keys where there is no playhead
  fresh = false; // whether the base is up to date
  waiting = 0;
  plot = { left: 0, right: 1, top: 0, bottom: 1 };
  xs = [0, 1];
  ys = [0, 1];

  // `host` is the card's body; `seek(frame)` makes the chart a second slider; `guessed(drawn)` hears what is drawn.
  constructor(host, seek, guessed) {
    this.seek = seek;
    this.guessed = guessed;
    host.append(this.canvas, this.readout);
    this.stop = onTheme(() => this.stale());
    this.sizes = new ResizeObserver(() => this.stale());
    this.sizes.observe(this.canvas);
    this.listen();
  }

  update(known, cursor, drawn = []) {
    const same = this.known === known && this.drawn === drawn;
    if (!isOpen(known)) this.drawing = false;
    Object.assign(this, { known, drawn, cursor: cursor && cursor.length ? cursor : null });
    if (!same) {
      this.chart = withGuess(known, drawn);
      const course = courseOf(this.chart);
      this.course = course && `. ${course}`;
    }
    this.canvas.classList.toggle('ns-drawn-on', this.drawing);
    this.canvas.classList.toggle('ns-seekable', Boolean(this.seek && this.cursor));
    if (!same) this.stale();
    this.name();
  }

  at(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    this.name();
    this.soon();
  }

  stale() { this.fresh = false; this.soon(); }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  remove() {
    this.stop();
    this.sizes.disconnect();
    cancelAnimationFrame(this.waiting);
  }

  listen() {
    const frameAt = event => {
      const x = this.valueAt(event.offsetX);
      let best = null, near = Infinity;
      this.cursor.forEach((at, k) => { if (Math.abs(at - x) < near) [near, best] = [Math.abs(at - x), k]; });
      if (best !== null) this.seek(best);
    };
    let last = null; // where the hand that draws was
    const stroke = event => {
      const to = { x: this.valueAt(event.offsetX), y: this.heightAt(event.offsetY) };
      const drawn = stroked(this.drawn, last || to, to, this.xs);
      last = to;
      this.guessed(drawn);
    };
    this.canvas.addEventListener('pointermove', event => {
      this.pointer = event.offsetX;
      if (this.drawing && last) stroke(event);
      if (this.dragging) frameAt(event);
      this.soon();
    });
    const left = () => { this.pointer = null; this.soon(); };
    // What a finger has tapped is read until it taps elsewhere.
    this.canvas.addEventListener('pointerleave', event => { if (event.pointerType !== 'touch') left(); });
    this.canvas.addEventListener('blur', () => { this.reading = NaN; left(); });
    this.canvas.addEventListener('focus', () => this.soon());
    this.canvas.addEventListener('keydown', event => this.key(event));
    this.canvas.addEventListener('pointerdown', event => {
      this.pointer = event.offsetX;
      this.soon();
      if (this.drawing && !event.button) {
        this.canvas.setPointerCapture(event.pointerId);
        return stroke(event);
      }
      if (!this.seek || !this.cursor || event.button) return;
      this.dragging = true;
      this.canvas.setPointerCapture(event.pointerId);
      frameAt(event);
    });
    const done = () => { this.dragging = false; last = null; };
    this.canvas.addEventListener('pointerup', done);
    this.canvas.addEventListener('pointercancel', done);
  }

  // A curve is drawn by keys as well: from column to column, and up and down.
  drawByKey(event) {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key], up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!way && !up) return;
    event.preventDefault();
    event.stopPropagation();
    if (way || !Number.isFinite(this.reading)) this.reading = columnBeside(this.reading, way || 0, this.xs);
    if (up) this.guessed(raised(this.drawn, this.reading, up, this.xs, askedOf(this.known).y[0]));
    this.name();
    this.soon();
  }

  // Where there is a playhead, keys move that; else they go from one value to the next.
  key(event) {
    if (this.drawing) return this.drawByKey(event);
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way || this.cursor || !this.chart) return;
    const xs = [...new Set(finite(this.chart.series.flatMap(series => [...series.x])))].sort((a, b) => a - b);
    if (!xs.length) return;
    const at = xs.indexOf(this.reading), step = this.chart.flip ? -way : way;
    const next = at < 0 ? (step > 0 ? 0 : xs.length - 1) : at + step;
    this.reading = xs[Math.max(0, Math.min(xs.length - 1, next))];
    event.preventDefault();
    this.name();
    this.soon();
  }

  /** What stands at the playhead, or where keys have gone. */
  get stands() { return this.cursor && !this.drawing ? this.cursor[this.frame] : this.reading; }

  valueAt(pixel) {
    const { plot, xs } = this;
    const u = Math.min(1, Math.max(0, (pixel - plot.left) / (plot.right - plot.left)));
    return this.chart.flip ? xs[1] - u * (xs[1] - xs[0]) : xs[0] + u * (xs[1] - xs[0]);
  }

  /** What stands at a height of the plot, in pixels from its top. */
  heightAt(pixel) {
    const { plot, ys: [lo, hi] } = this, u = Math.min(1, Math.max(0, (plot.bottom - pixel) / (plot.bottom - plot.top)));
    return this.chart.log ? lo * (hi / lo) ** u : lo + u * (hi - lo);
  }

  x(value) {
    const u = (value - this.xs[0]) / (this.xs[1] - this.xs[0]);
    return this.plot.left + (this.chart.flip ? 1 - u : u) * (this.plot.right - this.plot.left);
  }

  y(value) {
    if (this.chart.log && !(value > 0)) return NaN;
    const [lo, hi] = this.ys, f = this.chart.log ? Math.log : v => v;
    return this.plot.bottom - (f(value) - f(lo)) / (f(hi) - f(lo)) * (this.plot.bottom - this.plot.top);
  }

  paint() {
    if (!this.chart || !this.canvas.clientWidth) return;
    if (fit(this.canvas) || !this.fresh) this.paintBase();
    this.fresh = true;
    const look = lookNow(), context = this.canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.base, 0, 0);
    context.scale(look.scale, look.scale);
    const at = this.stands;
    if (Number.isFinite(at)) this.mark(context, this.x(at), at, look.colours.sub, look);
    const hover = this.pointer === null || this.dragging ? NaN : this.valueAt(this.pointer);
    if (Number.isFinite(hover)) this.mark(context, this.x(hover), hover, look.colours.line, look);
    const read = this.dragging || document.activeElement === this.canvas;
    this.say(Number.isFinite(hover) ? hover : read ? at : NaN);
  }

  paintBase() {
    const look = lookNow(), { canvas, chart } = this, { colours } = look;
    Object.assign(this.base, { width: canvas.width, height: canvas.height });
    const context = this.base.getContext('2d'), width = canvas.clientWidth, height = canvas.clientHeight;
    context.scale(look.scale, look.scale);
    context.font = FONT;
    const wide = extent(chart, 'x') || [0, 1];
    const run = this.cursor ? finite([...this.cursor]) : [], ends = [...wide, ...run.slice(0, 1), ...run.slice(-1)];
    this.xs = [Math.min(...ends), Math.max(...ends)];
    if (this.xs[0] === this.xs[1]) this.xs = [this.xs[0] - 0.5, this.xs[1] + 0.5];
    const room = Math.max(3, Math.floor(height / (chart.log ? 30 : 45)));
    this.ys = span(this.drawing ? this.known : chart, room); // under a hand that draws the axis stays
    if (isOpen(this.known)) this.ys = [0.8 * this.ys[0], 1.5 * this.ys[1]]; // room to draw in
    const ticks = (chart.log ? decades : linear)(this.ys[0], this.ys[1], room);
    const left = Math.max(30, ...ticks.map(t => context.measureText(t.name).width + 12));
    const names = chart.series.filter(s => s.label && s.y.length);
    const widest = Math.max(0, ...names.map(s => context.measureText(plain(s.label)).width));
    const beside = widest + 10 < 0.38 * width;
    this.plot = { left, right: width - (beside && widest ? widest + 10 : 6), top: 8, bottom: height - 22 };
    const marks = this.placeMarks(context);
    this.plot.top += LINE * (marks.length ? 1 + Math.max(...marks.map(mark => mark.row)) : 0);
    this.grid(context, ticks, colours, width, height);
    this.paintMarks(context, marks, colours);
    context.save();
    context.beginPath();
    context.rect(left, 0, this.plot.right - left, this.plot.bottom + 1);
    context.clip();
    chart.series.forEach(series => this.curve(context, series, colours));
    context.restore();
    this.names(context, names, beside, colours);
  }

  // What happened at some x: its words in rows above all curves, each in the first that has room; beyond ROWS rows
  // there is its line alone.
  placeMarks(context) {
    const { left, right } = this.plot, ends = [];
    return (this.chart.marks || []).map(({ x, label }) => {
      const text = plain(label), size = context.measureText(text).width, at = this.x(x);
      const begin = Math.max(left, Math.min(at + 3, right - size));
      let row = ends.findIndex(end => end < begin - 8);
      if (row < 0) row = ends.length < ROWS ? ends.length : -1;
      if (row >= 0) ends[row] = begin + size;
      return { at, begin, row, text };
    });
  }

  paintMarks(context, marks, colours) {
    const y = row => (row < 0 ? this.plot.top : 8 + LINE * row);
    context.strokeStyle = colours.sub;
    context.lineWidth = 1;
    for (const { at, row } of marks) {
      context.beginPath();
      context.moveTo(Math.round(at) + 0.5, y(row));
      context.lineTo(Math.round(at) + 0.5, this.plot.bottom);
      context.stroke();
    }
    context.textBaseline = 'middle';
    context.textAlign = 'left';
    context.strokeStyle = colours.panel;
    context.fillStyle = colours.ink;
    context.lineWidth = 4;
    for (const { begin, row, text } of marks) {
      if (row < 0) continue; // its line alone; under a pointer it has its words too
      context.strokeText(text, begin, y(row));
      context.fillText(text, begin, y(row));
    }
  }

  grid(context, ticks, colours, width, height) {
    const { left, right } = this.plot;
    context.textBaseline = 'middle';
    context.lineWidth = 1;
    for (const { at, name } of ticks) {
      const y = Math.round(this.y(at)) + 0.5;
      context.strokeStyle = colours.line;
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(right, y);
      context.stroke();
      context.fillStyle = colours.sub;
      context.textAlign = 'left';
      context.fillText(name, 2, y);
    }
    context.textBaseline = 'alphabetic';
    const [begin, end] = this.chart.ends.map(plain), both = context.measureText(`${begin}  ${end}`).width;
    context.fillText(begin, left, height - 4);
    context.textAlign = 'right';
    // Under a narrow plot the second stands clear of the first, below the names.
    context.fillText(end, Math.min(width - 2, Math.max(right, left + both)), height - 4);
  }

  curve(context, series, colours) {
    const colour = colours[series.palette], { x, y, low } = series;
    if (low) {
      context.fillStyle = series.palette === 'ink' ? colours.line : colours.accent_weak;
      context.beginPath();
      for (let i = 0; i < x.length; i++) context.lineTo(this.x(x[i]), this.y(y[i]));
      for (let i = x.length - 1; i >= 0; i--) context.lineTo(this.x(x[i]), Math.min(this.y(low[i]) || 1e4, 1e4));
      context.fill();
      return;
    }
    context.globalAlpha = series.style === 'faint' ? 0.4 : 1;
    context.strokeStyle = context.fillStyle = colour;
    if (series.style === 'dots' || x.length === 1) {
      for (let i = 0; i < x.length; i++) {
        context.beginPath();
        context.arc(this.x(x[i]), this.y(y[i]), 2, 0, 2 * Math.PI);
        context.fill();
      }
    } else {
      context.lineWidth = series.style === 'line' ? 1.75 : 1.2;
      context.lineJoin = 'round';
      context.setLineDash(series.style === 'dashed' ? [4, 3] : []);
      context.beginPath();
      let down = false; // a gap where a value is not a number
      for (let i = 0; i < x.length; i++) {
        const px = this.x(x[i]), py = this.y(y[i]);
        if (!Number.isFinite(px) || !Number.isFinite(py)) down = false;
        else if (down) context.lineTo(px, py);
        else { context.moveTo(px, py); down = true; }
      }
      context.stroke();
      context.setLineDash([]);
    }
    context.globalAlpha = 1;
  }

  names(context, named, beside, colours) {
    const { left, right, top, bottom } = this.plot;
    const labels = named.map(series => {
      let end = -1;
      series.x.forEach((x, i) => {
        if (Number.isFinite(this.y(series.y[i])) && (end < 0 || this.x(x) >= this.x(series.x[end]))) end = i;
      });
      return end < 0 ? null : { series, x: this.x(series.x[end]), y: this.y(series.y[end]) };
    }).filter(Boolean);
    const size = label => context.measureText(plain(label.series.label)).width;
    if (beside) spread(labels, top + 4, bottom - 4);
    else this.stack(labels, Math.max(...labels.map(size)));
    context.textBaseline = 'middle';
    context.lineWidth = 3;
    for (const label of labels) {
      const { series, x, y, alone } = label, text = plain(series.label);
      const inside = alone ? Math.max(left, x - 2) : Math.max(x - 2, left + size(label));
      const at = beside ? (x > right - 24 ? right : x) + 6 : inside;
      context.textAlign = beside || alone ? 'left' : 'right';
      context.strokeStyle = colours.panel;
      context.strokeText(text, at, y);
      context.fillStyle = series.style === 'faint' ? colours.sub : colours[series.palette];
      context.fillText(text, at, y);
    }
  }

  // No room beside the plot: the names stand in it, above all curves or else below them, but never on the axis.
  // One whose curve ends far from the others stands at its own end.
  stack(labels, width) {
    const { right, top, bottom } = this.plot, far = right - width - 4;
    let above = bottom, below = top;
    for (const { x, y, low } of this.chart.series) {
      x.forEach((value, i) => {
        if (this.x(value) < far) return;
        for (const at of [this.y(y[i]), low ? this.y(low[i]) : NaN].filter(Number.isFinite)) {
          above = Math.min(above, at);
          below = Math.max(below, at);
        }
      });
    }
    for (const label of labels) {
      if (label.x >= far) continue;
      label.alone = true;
      label.y += label.y < (top + bottom) / 2 ? 12 : -12;
    }
    const together = labels.filter(label => !label.alone).sort((a, b) => a.y - b.y);
    const rows = LINE * (together.length - 1), over = above - 8 - rows, under = below + 9;
    const roomier = above - top > bottom - below ? over : under;
    const wanted = over > top ? over : under + rows < bottom - 4 ? under : roomier;
    const first = Math.max(top + 4, Math.min(wanted, bottom - 5 - rows));
    together.forEach((label, i) => { label.y = first + i * LINE; });
  }

  // A vertical line at x with a dot on every curve.
  mark(context, px, value, colour, look) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(px, 0);
    context.lineTo(px, this.plot.bottom);
    context.stroke();
    for (const series of this.chart.series) {
      if (series.style === 'faint') continue;
      const py = this.y(this.nearest(series, value));
      if (!Number.isFinite(py)) continue;
      context.beginPath();
      context.arc(px, py, 3, 0, 2 * Math.PI);
      context.fillStyle = look.colours[series.palette];
      context.fill();
      context.lineWidth = 1;
      context.strokeStyle = look.colours.panel;
      context.stroke();
    }
  }

  nearest(series, value) {
    let best = NaN, near = Infinity;
    series.x.forEach((x, i) => {
      if (Math.abs(x - value) < near) [near, best] = [Math.abs(x - value), series.y[i]];
    });
    return near <= (this.xs[1] - this.xs[0]) / 20 + 1e-9 ? best : NaN;
  }

  // For who does not see it: what it is, how its curves run, and its numbers at the playhead.
  name() {
    const read = Number.isFinite(this.stands) ? this.read(this.stands) : '';
    const marks = (this.chart.marks || []).map(({ x, label }) => `. At ${short(x)}: ${plain(label)}`).join('');
    const now = read && `. ${this.cursor && !this.drawing ? 'At the playhead' : 'At'} ${read}`;
    this.canvas.setAttribute('aria-label', `chart: ${plain(this.chart.title)}${this.course}${now}${marks}`);
  }

  read(value) {
    const here = this.chart.series.map(s => [s.label, this.nearest(s, value)]).filter(([, y]) => Number.isFinite(y));
    const near = (this.chart.marks || []).filter(({ x }) => Math.abs(this.x(x) - this.x(value)) < 4);
    return [short(value), ...here.map(([label, y]) => `${plain(label)} ${short(y)}`.trim()),
      ...near.map(({ label }) => plain(label))].join(' · ');
  }

  say(value) {
    const words = Number.isFinite(value) ? this.read(value) : '';
    if (this.readout.textContent !== words) this.readout.textContent = words;
  }
}

// A card: title and chart. Several stand in a grid. `guesses`: what was drawn, by the curve that it was of.
export const chartCard = (seek, guesses = new Map()) => {
  const title = make('h3', 'ns-card-title'), body = make('div', 'ns-card-body');
  const draw = make('button', 'ns-pill', { type: 'button' }), said = make('span', '', { role: 'status' });
  const tools = make('p', 'ns-guess', {}, draw, said);
  const card = make('section', 'ns-card ns-chart', {}, title, body, tools);
  let chart = null, cursor = null;
  const show = () => {
    const drawn = guesses.get(chart.guess) || NOTHING, open = isOpen(chart);
    view.update(chart, cursor, drawn);
    const says = saidOf(chart, drawn, view.drawing);
    draw.textContent = view.drawing ? 'done' : drawn.length ? 'forget my guess' : 'draw your guess';
    draw.hidden = !(open || drawn.length);
    tools.hidden = draw.hidden && !says;
    if (said.textContent !== says) said.textContent = says;
  };
  const view = new ChartView(body, seek, drawn => { guesses.set(chart.guess, drawn); show(); });
  draw.onclick = () => {
    const drawn = guesses.get(chart.guess);
    if (!view.drawing && drawn && drawn.length) guesses.delete(chart.guess);
    else view.drawing = !view.drawing;
    view.stale();
    show();
    if (view.drawing) view.canvas.focus({ preventScroll: true });
  };
  return {
    card, view,
    update(next, at) { [chart, cursor] = [next, at]; explain(title, chart.title); show(); },
    remove() { view.remove(); card.remove(); },
  };
};

// Two or three cards a row, so that none is left alone in the last.
export const arrangeCards = host => {
  const count = [...host.children].filter(card => !card.hidden).length;
  host.style.setProperty('--columns', count <= 3 ? Math.max(1, count) : count === 4 ? 2 : 3);
};
