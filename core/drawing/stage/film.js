// @ts-check
// A film as it arrives: chunks of frames, decoded without copying, kept until the next film.

import { fill } from './format.js';

// One panel: the codes of every frame that has arrived, each with the range they were written in.
export class Panel {
  title = '';
  note = '';
  caption = '';
  palette = '';
  /** @type {{codes: Uint8Array | Int16Array, range: number[], scale: number | null}[]} */
  frames = [];
  shape = []; // of one frame
  scale = null;
  backdrop = null;
  map = null;
  version = 0;

  constructor({ key, kind, range }) {
    this.key = key;
    this.kind = kind;
    this.home = range.slice(); // what the film says is to be seen
    this.range = range.slice(); // what is seen, which can be made wider
  }

  // Show this much.
  look(range) {
    this.range = range.slice();
    this.version++;
  }

  add(header, first) {
    const [count, ...shape] = header.shape;
    const size = shape.reduce((a, b) => a * b, 1);
    for (const name of ['title', 'note', 'caption', 'palette']) this[name] = header[name];
    this.shape = shape;
    // A range may grow while frames stream in: what is drawn is the union.
    const union = range => [Math.min(range[0], header.range[0]), Math.max(range[1], header.range[1])];
    Object.assign(this, { home: union(this.home), range: union(this.range) });
    this.scale = Math.max(this.scale || 0, header.scale || 0) || null;
    if (header.backdrop) this.backdrop = { codes: header.backdrop, range: header.range };
    if (header.map) this.map = header.map;
    for (let k = 0; k < count; k++) {
      const codes = header.codes.subarray(k * size, (k + 1) * size);
      this.frames[first + k] = { codes, range: header.range, scale: header.scale };
    }
    this.version++;
  }

  // The frame at k, or the last one before it: a panel that stands still has frame 0 alone.
  at(k) {
    for (k = Math.min(k, this.frames.length - 1); k > 0 && !this.frames[k]; k--);
    return this.frames[k];
  }
}

export class Film {
  /** @type {Map<string, Panel>} */
  panels = new Map();
  numbers = {};
  charts = [];
  cursors = [];
  clock = '';
  sentence = '';
  formula = '';
  figures = [];
  source = '';
  made = ''; // from what, in words
  /** @type {[string, string][]} */
  legend = []; // colours and what is drawn in them
  total = 0; // frames there will be
  ready = 0; // frames that have arrived, without a gap
  arrived = [];
  newest = -1; // which chunk's texts are shown
  version = 0;

  constructor(id) { this.id = id; }

  // `serial` is the chunk's place in the order of sending: texts and charts are those of the last one sent.
  add(header, serial) {
    const { first, count } = header;
    for (const part of header.panels) {
      if (!this.panels.has(part.key)) this.panels.set(part.key, new Panel(part));
      this.panels.get(part.key).add(part, part.shape[0] === count ? first : 0);
    }
    for (const name in header.numbers) {
      const kept = this.numbers[name] || (this.numbers[name] = []);
      header.numbers[name].forEach((value, k) => { kept[first + k] = value; });
    }
    if (serial >= this.newest) {
      this.newest = serial;
      const texts = ['clock', 'sentence', 'formula', 'figures', 'source', 'made', 'legend'];
      for (const name of texts) this[name] = header[name];
      if (header.charts.length) this.charts = header.charts;
    }
    header.charts.forEach((chart, i) => {
      const kept = this.cursors[i] || (this.cursors[i] = []);
      if (chart.cursor) chart.cursor.forEach((x, k) => { kept[first + k] = x; });
    });
    for (let k = 0; k < count; k++) this.arrived[first + k] = true;
    while (this.arrived[this.ready]) this.ready++;
    this.total = Math.max(this.total, header.total || 0, this.ready);
    this.version++;
  }

  text(template, k) {
    return fill(template, name => (this.numbers[name] || [])[k]);
  }

  // What must agree for the playhead to survive from one film to the next.
  get shape() {
    return this.total + '|' + [...this.panels.values()].map(p => p.key + ':' + p.kind).sort().join(',');
  }
}
