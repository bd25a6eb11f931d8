// @ts-check
// One panel on the page: its title, its caption and its canvas. It paints when something it shows has changed.

import { around, outside } from './codes.js';
import { fit, make } from './dom.js';
import { plain, rich } from './markup.js';
import { painter } from './painter.js';
import { answers } from './words.js';

const range = ([lo, hi]) => (lo === -hi ? `±${trim(hi)}` : `[${trim(lo)}, ${trim(hi)}]`);
const trim = value => String(Number(value.toPrecision(3))).replace('-', '−');

// As `core/scene.py` says it.
const figure = count => count.toLocaleString('en');
const words = (count, total) =>
  `${figure(count)} of ${figure(total)} points ${count === 1 ? 'is' : 'are'} outside the frame`;

export class View {
  title = make('span', 'ns-panel-title', { tabindex: 0, role: 'button' });
  caption = make('span', 'ns-panel-caption');
  lost = make('button', 'ns-lost', { type: 'button' }); // how many points are outside, and a way to see them
  pointer = null; // where it is over the canvas
  picked = null; // which sample keys have picked
  drawn = ''; // what the canvas shows
  frame = 0;
  looked = null; // with what look
  resized = true; // since it was painted

  // `point({marked, sample})` tells the stage what is under the pointer; `enlarge(sample)` that an image was clicked.
  constructor(panel, { point, enlarge, moved }) {
    this.panel = panel;
    this.painter = painter(panel.kind);
    const picked = this.canPick ? { tabindex: 0 } : {};
    this.canvas = make('canvas', `ns-canvas ns-${panel.kind}`, { role: 'img', ...picked });
    this.head = make('figcaption', '', {}, this.title, this.caption);
    this.node = make('figure', 'ns-panel', { 'data-key': panel.key }, this.head, this.canvas, this.lost);
    this.lost.onclick = () => {
      panel.look(this.wide ? panel.home : around(panel));
      moved();
    };
    const told = () => {
      const found = this.probe();
      point(found && found.marked !== undefined ? found.marked : null);
      this.say();
    };
    const here = event => {
      Object.assign(this, { pointer: [event.offsetX, event.offsetY], picked: null });
      told();
    };
    const left = () => { Object.assign(this, { pointer: null, picked: null }); told(); };
    this.canvas.addEventListener('pointermove', here);
    this.canvas.addEventListener('pointerdown', here);
    // What a finger has tapped is read until it taps elsewhere.
    this.canvas.addEventListener('pointerleave', event => { if (event.pointerType !== 'touch') left(); });
    this.canvas.addEventListener('blur', left);
    this.canvas.addEventListener('keydown', event => {
      const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (event.key === 'Enter') this.canvas.click();
      if (!way || !this.looked || !this.canPick) return;
      const count = this.picking.count(panel, this.looked);
      this.picked = this.picked === null ? 0 : (this.picked + way + count) % count;
      event.preventDefault();
      told();
    });
    this.canvas.addEventListener('click', () => {
      const found = this.probe();
      if (found && found.sample !== undefined && panel.kind === 'images') enlarge(found.sample);
    });
    this.sizes = new ResizeObserver(moved);
    this.sizes.observe(this.canvas);
  }

  /** Whether it shows samples, which can be gone through by keys. */
  get canPick() { return this.panel.kind !== 'heat' && this.panel.kind !== 'field'; }

  // What paints it, of a panel that shows samples.
  get picking() { return /** @type {any} */ (this.painter); }

  // Whether more is seen than the film says.
  get wide() { return this.panel.range[1] - this.panel.range[0] > 1.001 * (this.panel.home[1] - this.panel.home[0]); }

  // How many points are outside the frame now; a press lets the view follow them, and another takes it back.
  count() {
    const { panel } = this, scatter = panel.kind === 'points' || panel.kind === 'paths';
    const frame = scatter ? panel.at(this.frame) : null, count = frame ? outside(frame, panel) : 0;
    const said = count ? words(count, panel.shape[0]) : '';
    this.lost.hidden = !count && !(scatter && this.wide);
    this.lost.textContent = this.wide ? `${said || 'all points are seen'}: back to the frame` : said;
    this.lost.title = this.wide ? '' : 'let the view follow them';
  }

  // What is under the pointer, or the sample that keys have picked, wherever it is by now.
  probe() {
    if (!this.looked) return null;
    if (this.picked !== null) {
      const [x, y] = this.picking.spot(this.picked, this.canvas.width, this.panel, this.frame, this.looked);
      return this.painter.probe(x, y, this.canvas.width, this.panel, this.frame, this.looked);
    }
    if (!this.pointer) return null;
    const [x, y] = this.pointer.map(v => v * this.looked.scale);
    return this.painter.probe(x, y, this.canvas.width, this.panel, this.frame, this.looked);
  }

  /** Before any of a stage's views is painted: what a painted one says would have the next measure all anew. */
  fit() { this.resized = fit(this.canvas) || this.resized; }

  paint(frame, look) {
    const { panel, canvas, resized } = this;
    const drawn = [panel.at(frame) && frame, panel.version, look.theme, look.sample, look.marked].join();
    if (!resized && drawn === this.drawn) return false;
    Object.assign(this, { drawn, frame, looked: look, resized: false });
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (panel.at(frame)) this.painter.paint(context, canvas.width, panel, frame, look);
    this.count();
    this.say();
    return true;
  }

  say() {
    const { panel } = this;
    rich(this.title, panel.title);
    answers(this.title, panel.title, panel.caption ? `${panel.note} (${panel.caption})` : panel.note);
    const found = this.probe();
    this.canvas.setAttribute('aria-label', `${plain(panel.title)}: ${panel.note}${found ? `. ${found.text}` : ''}`);
    this.head.classList.toggle('ns-probed', Boolean(found));
    rich(this.caption, found ? found.text : panel.caption || range(panel.range));
    this.canvas.classList.toggle('ns-grid', panel.kind === 'images' && panel.shape[0] > 1);
  }

  remove() { this.sizes.disconnect(); this.node.remove(); }
}
