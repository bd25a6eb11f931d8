// @ts-check
// The export popover: what the film should become. It asks, shows how far the server is, and downloads the answer.

import { download, make } from '../../core/drawing/stage/dom.js';
import { fill } from '../../core/drawing/stage/format.js';
import { lookNow } from '../../core/drawing/stage/look.js';

const SIZES = [160, 224, 320, 448], RATES = [10, 20, 30, 50], EVERY = [1, 2, 5, 10, 20];
const PAUSE = 200; // milliseconds after the last choice until it is asked what comes of it
const CONTENTS = { shown: 'those that are on', all: 'all that there are' };
const PACES = { frame: 'as here', t: 'even in t', log_snr: 'even in log-SNR' };

const field = (label, control) => make('label', 'ns-field', {}, make('span', '', {}, label), control);

/** @param {(value: any) => string} name */
function choice(values, chosen, name = String) {
  const select = make('select', 'ns-select');
  for (const value of values) {
    const option = make('option', '', { value }, name(value));
    option.selected = value === chosen;
    select.append(option);
  }
  return select;
}

export class Exporter {
  size = choice(SIZES, 224, v => `${v} px`);
  fps = choice(RATES, 20);
  every = choice(EVERY, 1, v => (v === 1 ? 'every frame' : `every ${v}th frame`));
  pacing = choice(Object.keys(PACES), 'frame', v => PACES[v]);
  content = choice(Object.keys(CONTENTS), 'shown', v => CONTENTS[v]);
  fields = { size: field('size of a panel', this.size), fps: field('frames a second', this.fps),
    every: field('frames', this.every), pacing: field('pace', this.pacing), content: field('panels', this.content) };
  expected = make('span', 'ns-expected');
  go = make('button', 'ns-primary', { type: 'button' }, 'Export');
  bar = make('progress', 'ns-progress', { max: 1, value: 0, 'aria-label': 'export progress' });
  message = make('span', 'ns-message', { role: 'status' });
  button = make('button', 'ns-pill', { type: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': false }, 'export');
  pending = false; // a wish that is not answered yet
  weighing = 0;
  weighed = 0; // which question for what it will weigh was the last
  tells = megabytes => String(megabytes);

  /**
   * @param {{name: string, label: string, settings: string[], expects: string}[]} formats what there is; `expects` is a
   *   template for what will come, with {frames}, {seconds} and {megabytes}
   * @param {import('../../core/drawing/stage/stage.js').Stage} stage whose film it is
   * @param {(wish: object) => void} ask hands the wish to the server
   */
  constructor(formats, stage, ask) {
    this.formats = formats;
    this.stage = stage;
    this.ask = ask;
    this.format = choice(formats.map(f => f.name), formats[0].name, name => formats.find(f => f.name === name).label);
    this.popover = make('div', 'ns-popover', { role: 'dialog', 'aria-label': 'export' },
      field('format', this.format), ...Object.values(this.fields),
      make('div', 'ns-asked', {}, this.expected, this.go), this.bar, this.message);
    this.popover.hidden = true;
    this.node = make('div', 'ns-export', {}, this.button, this.popover);
    this.listen();
  }

  /** Whether there is a film to export. */
  allow(there) { this.button.disabled = !there; }

  listen() {
    this.button.onclick = () => this.open(this.popover.hidden);
    this.popover.onchange = () => this.expect();
    this.popover.onkeydown = event => {
      if (event.key === 'Escape') { this.open(false); this.button.focus(); }
      event.stopPropagation();
    };
    this.outside = event => { if (!this.node.contains(event.target)) this.open(false); };
    this.go.onclick = () => {
      this.pending = true;
      this.state({ progress: 0, message: 'asked for it …' });
      this.ask(this.options());
    };
  }

  open(wanted) {
    this.popover.hidden = !wanted;
    this.button.setAttribute('aria-expanded', String(wanted));
    document[wanted ? 'addEventListener' : 'removeEventListener']('pointerdown', this.outside);
    if (wanted) { this.expect(); this.format.focus(); }
  }

  options() {
    const { stage } = this, { settings } = this.formats.find(f => f.name === this.format.value);
    return {
      format: this.format.value, content: settings.includes('content') ? this.content.value : 'shown',
      size: Number(this.size.value), fps: Number(this.fps.value),
      every: Number(this.every.value), pacing: this.pacing.value,
      panels: stage.keys, frame: stage.transport.frame, sample: stage.sample, theme: lookNow().theme,
    };
  }

  expect() {
    const { format, every, fps } = this.options(), { settings, expects } = this.formats.find(f => f.name === format);
    for (const [name, row] of Object.entries(this.fields)) row.hidden = !settings.includes(name);
    const frames = Math.ceil((this.stage.film ? this.stage.film.total : 0) / (settings.includes('every') ? every : 1));
    this.tells = megabytes => fill(expects, name => ({ frames, seconds: frames / fps, megabytes })[name]);
    this.expected.textContent = this.tells(NaN);
    // What it will weigh the server knows; of two answers the later one counts.
    clearTimeout(this.weighing);
    const weigh = ++this.weighed;
    if (expects.includes('{megabytes')) this.weighing = setTimeout(() => this.ask({ ...this.options(), weigh }), PAUSE);
  }

  // {progress 0…1, message, file: {url, orig_name}} from the server
  state(state) {
    if (!state) return; // Gradio's None is ""
    if (state.weighed) {
      if (state.weighed === this.weighed) this.expected.textContent = this.tells(state.bytes / 1e6);
      return;
    }
    const busy = state.progress !== undefined && state.progress < 1 && !state.file;
    this.bar.value = state.progress || 0;
    this.bar.style.visibility = busy ? 'visible' : 'hidden';
    this.go.disabled = busy;
    this.message.textContent = state.message || '';
    if (busy || !this.pending) return;
    this.pending = false;
    if (!state.file) return;
    download(state.file);
  }

  remove() { document.removeEventListener('pointerdown', this.outside); }
}
