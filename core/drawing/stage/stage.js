// @ts-check
// The stage: panels in step under one playhead, with the equation of this step and the charts that share its cursor.

import { arrangeCards, chartCard } from './chart.js';
import { Doctor } from './doctor.js';
import { make } from './dom.js';
import { subject } from './format.js';
import { Loader } from './loader.js';
import { lookNow, onTheme } from './look.js';
import { plain, rich } from './markup.js';
import { Transport } from './transport.js';
import { View } from './view.js';
import { answers, explain } from './words.js';

const MOST = 6; // panels at once
/** @type {Set<Stage>} */
const stages = new Set(); // those on the page
// What has a use of its own for keys that move the playhead.
const KEYED = 'input, textarea, select, [contenteditable], [role=slider], [role=tab], [role=listbox]';

// Keep the room a changing text has needed, so that nothing below it jumps.
const lengths = new WeakMap();

function settle(node) {
  const length = node.textContent.length;
  if (length <= (lengths.get(node) || 0)) return;
  lengths.set(node, length);
  node.style.minHeight = '';
  node.style.minHeight = `${node.offsetHeight}px`;
}

/** @typedef {{node: Element, allow: (there: boolean) => void, remove: () => void}} Exporter */

export class Stage {
  /** @type {Map<string, View>} */
  views = new Map();
  cards = [];
  /** @type {import('./film.js').Film | null} */
  film = null;
  value = null; // what the film was told with
  recipe = {}; // what a film made now would be made from
  chosen = null; // keys of panels that a person, or a link, has chosen
  order = []; // keys of all panels, as their chips stand
  pending = new Set(); // keys that were asked for
  sample = null; // the picture that is shown alone
  marked = null; // the sample that is pointed at
  shape = ''; // of the film, and of the one before
  last = '';
  fresh = false; // a film that nothing has been shown of
  still = false; // it stands on its last frame, for who does not want motion
  status = '';
  coming = false; // more of the film
  paints = 0;
  painted = null; // the frame that stands on the canvases
  took = 0;
  worded = ''; // what the texts were written for
  told = ''; // the legend that is written
  wide = 0; // characters of the widest clock
  waiting = 0;
  timers = {};
  seen = true; // scrolled into sight
  guesses = new Map(); // what was drawn on charts before it was known: it outlives the film that it was drawn on

  question = make('h2', 'ns-question');
  sentence = make('p', 'ns-sentence', { 'aria-live': 'off' });
  chips = make('div', 'ns-chips', { role: 'group', 'aria-label': 'panels' });
  panels = make('div', 'ns-panels');
  empty = make('div', 'ns-empty');
  vacancy = make('span'); // what stands where a film will
  made = make('p', 'ns-made');
  origin = make('p', 'ns-origin', { 'aria-label': 'made from' });
  legend = make('p', 'ns-legend', { 'aria-label': 'colours' });
  note = make('span', 'ns-status', { role: 'status' });
  halt = make('button', 'ns-pill ns-stop', { type: 'button' }, 'stop');
  formula = make('p', 'ns-formula');
  figures = make('div', 'ns-figures');
  source = make('p', 'ns-source');
  step = make('section', 'ns-card ns-step', {},
    make('h3', 'ns-card-title', {}, 'this step, with its numbers'), this.formula, this.figures, this.source);
  below = make('div', 'ns-below', {}, this.step);
  node = make('div', 'ns-stage', { tabindex: -1 });

  /**
   * @param {Element} root what it stands in
   * @param {object} options
   * @param {string} options.question the headline
   * @param {string[]} options.shown panels that are on at first
   * @param {string} options.empty what to do while there is no film
   * @param {boolean} options.autoplay
   * @param {string[]} options.uses fields of the recipe that a film here is made from
   * @param {string} options.renew what to do where the recipe has changed
   * @param {Record<string, string>} [options.live] field → what to do where only such have changed
   * @param {{seconds?: number, starts?: number[], hold: number}} [options.clock] see Transport
   * @param {object} world
   * @param {(path: string) => Promise<ArrayBuffer>} world.bring where chunks come from
   * @param {(event: string, data: object) => void} world.tell hears what a person does: want, shown, seek, stop, ask
   * @param {boolean} [world.asked] whether anybody answers to ask
   * @param {(stage: Stage) => Exporter | null} [world.exporter]
   * @param {(stage: Stage) => void} [world.begun] hears that the first frames of a film are there
   */
  constructor(root, options, { bring, tell, asked = false, exporter = () => null, begun = () => {} }) {
    this.options = options;
    this.trigger = tell;
    this.begun = begun;
    this.transport = new Transport({
      show: () => this.soon(),
      moved: frame => this.tell('seek', { frame }),
      clock: options.clock,
    });
    this.transport.startOfJump = () => this.number(this.transport.frame);
    this.transport.jumpTo = value => this.nearest(value);
    this.exporter = exporter(this);
    const ask = asked ? (field, value) => this.trigger('ask', { field, value }) : null;
    this.doctor = new Doctor({ bring, ask });
    this.loader = new Loader({ bring, arrived: () => this.arrived(), failed: error => this.complain(error) });
    this.build(root);
    this.stop = onTheme(() => this.soon());
    this.sight = new IntersectionObserver(entries => {
      this.seen = entries[entries.length - 1].isIntersecting;
      this.wake();
    });
    this.sight.observe(this.node);
    this.hide = () => this.wake();
    document.addEventListener('visibilitychange', this.hide);
    stages.add(this);
  }

  build(root) {
    this.halt.onclick = () => this.trigger('stop', {});
    this.halt.hidden = true;
    this.transport.node.append(this.halt);
    if (this.exporter) this.transport.node.append(this.exporter.node);
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.options.question);
    this.node.append(
      make('header', 'ns-head', {}, this.question, this.sentence), this.chips,
      make('section', 'ns-card ns-screen', {},
        make('div', 'ns-view', {}, this.panels, this.empty, this.made), this.transport.node, this.note),
      this.origin, this.legend, this.doctor.node, this.below);
    this.question.textContent = this.options.question;
    this.vacant();
    this.empty.append(this.vacancy);
    root.replaceChildren(this.node);
  }

  // ---- the film ----

  // A film: {film: its name, chunks: [{path}…], done, total, available, …}; or none.
  load(value) {
    if (!value || !value.film) {
      this.film = this.loader.film = null;
      this.coming = false;
      this.vacant();
      this.doctor.load(null);
      this.compare();
      this.arrange();
      this.transport.pause();
      this.transport.extent(0, 0);
      return;
    }
    this.value = value;
    this.doctor.load(value.findings);
    const before = this.film;
    this.film = this.loader.load(value);
    if (before !== this.film) this.begin(before);
    this.compare();
    this.coming = value.done === false;
    this.vacant();
    this.halt.hidden = !this.coming;
    this.transport.again.hidden = !this.halt.hidden; // the one takes the other's place
    if (this.film.ready) this.arrived();
    else this.arrange();
  }

  // What the film was made from, in words by the recipe's field.
  get from() { return (this.film && this.value.made) || {}; }

  // What is shown was made by a recipe; where the recipe now says something else, that is said.
  compare(recipe = this.recipe) {
    this.recipe = recipe;
    const made = this.from, now = recipe;
    const other = this.options.uses.filter(field => field in made && field in now && made[field] !== now[field]);
    this.node.classList.toggle('ns-other', other.length > 0);
    if (!other.length) return;
    const list = says => other.slice(0, 3).map(field => says[field]).join(', ') + (other.length > 3 ? ', …' : '');
    const live = this.options.live || {}, { renew } = this.options;
    const press = other.every(field => live[field]) ? live[other[0]] : renew;
    this.made.textContent = `Made with ${list(made)}. The recipe now says ${list(now)}. ${press}`;
  }

  // A new film: chips and playhead stay where they can.
  begin(before) {
    this.last = before && before.ready ? before.shape : this.shape;
    this.fresh = true;
    this.pending.clear();
    this.complain(null);
    if (this.value.shown) this.chosen = [...this.value.shown];
  }

  arrived() {
    const { film, transport, value } = this;
    const first = this.fresh && film.ready > 0;
    if (value.total) film.total = Math.max(film.total, value.total);
    if (value.done !== false && !this.loader.busy) film.total = film.ready; // stopped early: this is all there is
    this.arrange();
    if (first) this.start();
    if (value.follow && !transport.held && !transport.playing) transport.wanted = film.ready - 1;
    transport.extent(film.total, film.ready);
    const whole = value.done !== false && film.ready === film.total;
    if (whole && this.still && !transport.held) transport.go(film.total - 1);
    this.soon();
  }

  start() {
    this.fresh = false;
    const { film, transport, value } = this;
    this.still = this.options.autoplay && matchMedia('(prefers-reduced-motion: reduce)').matches;
    const same = film.shape === this.last;
    this.shape = film.shape;
    this.replace(value.usual || []);
    this.begun(this);
    for (const node of [this.sentence, this.figures]) {
      lengths.delete(node);
      node.style.minHeight = '';
    }
    if (!same) this.sample = null;
    if (Number.isFinite(value.frame)) Object.assign(transport, { wanted: value.frame, held: true });
    else if (!same || !transport.held) {
      Object.assign(transport, { wanted: 0, held: false });
      transport.extent(film.total, film.ready);
      if (this.options.autoplay && !this.still && !value.follow) transport.play();
    }
    this.wake();
  }

  // For panels that are none of this film's there stand as many of its usual ones: seldom is one alone what was meant.
  replace(usual) {
    const chosen = this.chosen || [], on = chosen.filter(key => this.order.includes(key));
    const more = usual.filter(key => this.order.includes(key) && !on.includes(key));
    if (on.length === chosen.length || !more.length) return;
    this.chosen = [...on, ...more.slice(0, chosen.length - on.length)];
    this.arrange();
  }

  get keys() {
    const there = this.order.filter(key => this.film && this.film.panels.has(key));
    const wanted = (this.chosen || this.options.shown).filter(key => there.includes(key));
    const chosen = wanted.length ? wanted : there;
    return there.filter(key => chosen.includes(key)).slice(0, MOST);
  }

  // What is shown, and what was chosen too and is on its way.
  get wished() {
    const { film, pending } = this;
    const chosen = (this.chosen || []).filter(key => film?.panels.has(key) || pending.has(key));
    return chosen.length ? chosen : this.keys;
  }

  get blanks() { return Math.min(MOST, this.options.shown.length || 2); }

  // ---- what stands where ----

  arrange() {
    const { film } = this;
    this.node.classList.toggle('ns-nothing', !film || !film.ready);
    if (this.exporter) this.exporter.allow(Boolean(film && film.ready));
    const sent = film && film.ready ? [...film.panels.values()] : [];
    const more = (sent.length && this.value.available) || [];
    const offers = [...sent.filter(panel => !more.some(offer => offer.key === panel.key)), ...more];
    const names = new Map();
    for (const offer of offers) names.set(offer.key, offer);
    this.order = [...names.keys()];
    this.node.style.setProperty('--count', String(this.keys.length || this.blanks));
    this.offer(names);
    const keys = this.keys;
    for (const [key, view] of this.views) {
      if (keys.includes(key) && view.panel === film.panels.get(key)) continue;
      view.remove();
      this.views.delete(key);
    }
    keys.forEach((key, i) => {
      if (!this.views.has(key)) {
        this.views.set(key, new View(film.panels.get(key), {
          point: marked => { if (this.marked !== marked) { this.marked = marked; this.soon(); } },
          enlarge: sample => { this.sample = this.sample === null ? sample : null; this.soon(); },
          moved: () => this.soon(),
        }));
      }
      const { node } = this.views.get(key);
      if (this.panels.children[i] !== node) this.panels.insertBefore(node, this.panels.children[i] || null);
    });
    this.hold(keys.length);
    this.chart();
    this.soon();
  }

  // Empty frames where panels will stand, so that nothing moves when the first frame comes.
  hold(count) {
    const frames = this.panels.querySelectorAll('.ns-blank');
    if (count) frames.forEach(frame => frame.remove());
    else for (let i = frames.length; i < this.blanks; i++) {
      this.panels.append(make('div', 'ns-blank'));
    }
  }

  offer(names) {
    const on = new Set(this.keys), wished = new Set(this.wished);
    this.order.forEach((key, i) => {
      let chip = /** @type {HTMLElement} */ (this.chips.children[i]);
      if (!chip) this.chips.append(chip = make('button', 'ns-chip', { type: 'button' }));
      const { title, note } = names.get(key);
      rich(chip, title);
      const full = wished.size >= MOST && !wished.has(key);
      answers(chip, title, full ? `${note} (${MOST} panels are the most: switch one off)` : note || '');
      chip.setAttribute('aria-pressed', String(on.has(key)));
      chip.classList.toggle('ns-pending', wished.has(key) && !on.has(key));
      chip.dataset.key = key;
      chip.onclick = () => this.choose(key);
    });
    while (this.chips.children.length > this.order.length) this.chips.lastChild.remove();
  }

  choose(key) {
    const on = new Set(this.wished);
    if (on.has(key)) {
      if (on.size === 1) return;
      on.delete(key);
      this.pending.delete(key);
    } else {
      if (on.size >= MOST) return this.say(`${MOST} panels are the most: switch one off first.`);
      on.add(key);
    }
    this.say('');
    this.chosen = this.order.filter(k => on.has(k));
    if (!this.film.panels.has(key) && !this.pending.has(key)) {
      this.pending.add(key);
      this.trigger('want', { key });
    }
    this.tell('shown', { keys: this.chosen });
    this.arrange();
  }

  /** These panels, of those that there are; ones that were not sent yet are asked for. */
  show(keys) {
    const chosen = keys.filter(key => this.order.includes(key)).slice(0, MOST);
    if (!chosen.length || chosen.join() === this.keys.join()) return;
    this.chosen = chosen;
    for (const key of chosen) {
      if (this.film.panels.has(key) || this.pending.has(key)) continue;
      this.pending.add(key);
      this.trigger('want', { key });
    }
    this.arrange();
  }

  chart() {
    const charts = this.film ? this.film.charts : [];
    while (this.cards.length > charts.length) this.cards.pop().remove();
    charts.forEach((chart, i) => {
      if (!this.cards[i]) {
        this.cards[i] = chartCard(frame => this.transport.seek(frame), this.guesses);
        this.below.append(this.cards[i].card);
      }
      this.cards[i].update(chart, this.film.cursors[i]);
    });
    this.step.hidden = !(this.film && (this.film.formula || this.film.figures.length));
    arrangeCards(this.below);
  }

  // ---- painting ----

  soon() {
    if (this.waiting || !this.awake) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  /** Whether it can be seen now: the observer of that calls late. */
  get there() {
    const { top, bottom, width } = this.node.getBoundingClientRect();
    return !document.hidden && width > 0 && bottom > 0 && top < innerHeight;
  }

  get awake() { return this.seen && !document.hidden && this.node.isConnected; }

  wake() {
    this.transport.wake(this.awake);
    if (this.awake) this.soon();
  }

  paint() {
    const { film, transport } = this;
    if (!this.node.isConnected) return this.remove();
    if (!film || !film.ready) return;
    const began = performance.now(), frame = transport.frame;
    const look = { ...lookNow(), sample: this.sample, marked: this.marked, frames: film.total };
    let drawn = 0;
    for (const view of this.views.values()) view.fit();
    for (const view of this.views.values()) if (view.paint(frame, look)) drawn++;
    for (const { view } of this.cards) view.at(frame);
    this.words(frame);
    Object.assign(this, { painted: frame, paints: this.paints + (drawn ? 1 : 0) });
    this.took = performance.now() - began;
  }

  words(frame) {
    const { film, transport } = this;
    if (this.worded === `${film.id}|${film.version}|${frame}`) return;
    this.worded = `${film.id}|${film.version}|${frame}`;
    const sentence = film.text(film.sentence, frame);
    rich(this.sentence, sentence);
    explain(this.formula, film.formula, true);
    film.figures.forEach((template, i) => {
      if (!this.figures.children[i]) this.figures.append(make('p'));
      rich(this.figures.children[i], film.text(template, frame));
    });
    while (this.figures.children.length > film.figures.length) this.figures.lastChild.remove();
    rich(this.source, film.source);
    this.origin.textContent = film.made;
    this.colours(film.legend);
    const clock = film.text(film.clock, frame);
    rich(transport.clock, clock);
    const longest = film.text(film.clock, film.ready - 1);
    this.wide = Math.max(this.wide || 0, plain(clock).length, plain(longest).length);
    transport.clock.style.minWidth = `${this.wide}ch`;
    transport.slider.setAttribute('aria-valuetext', plain(sentence ? `${clock}. ${sentence}` : clock));
    settle(this.sentence);
    settle(this.figures);
  }

  // What is drawn in which colour.
  colours(legend) {
    const said = JSON.stringify(legend);
    if (this.told === said) return;
    this.told = said;
    this.legend.replaceChildren(...legend.map(([palette, words]) => {
      const text = make('span'), entry = make('span', '', {}, make('i', `ns-colour-${palette}`), text);
      rich(text, words);
      return entry;
    }));
  }

  say(words) {
    this.note.textContent = words || this.status;
  }

  // A line under the transport, until something else is to be said there.
  tells(status) {
    this.status = status;
    this.vacant();
    this.say('');
  }

  // Where no frame is: what is done for one, or what to do.
  vacant() { this.vacancy.textContent = this.status || (this.coming ? 'working …' : this.options.empty); }

  complain(error) {
    this.say(error ? `Frames could not be loaded (${error.message}). Make the film again.` : '');
    this.note.classList.toggle('ns-wrong', Boolean(error));
  }

  // ---- the clock as a way to jump ----

  get subject() { return this.film && this.film.numbers[subject(this.film.clock)]; }

  number(frame) {
    const value = this.subject ? this.subject[frame] : frame;
    return Number(value.toPrecision(6));
  }

  nearest(value) {
    if (!this.subject) return value;
    let best = 0;
    this.subject.forEach((at, k) => { if (Math.abs(at - value) < Math.abs(this.subject[best] - value)) best = k; });
    return best;
  }

  // Tell the server when a hand has come to rest; a drag is one message.
  tell(event, data) {
    clearTimeout(this.timers[event]);
    this.timers[event] = setTimeout(() => this.trigger(event, data), 300);
  }

  // What others may ask of a stage.
  get handle() {
    const stage = this, { transport } = this;
    return {
      get frame() { return transport.frame; },
      get frames() { return transport.ready; },
      get total() { return transport.total; },
      get playing() { return transport.playing; },
      get painted() { return stage.painted; },
      get paints() { return stage.paints; },
      get took() { return stage.took; },
      get film() { return stage.film; },
      get from() { return stage.from; },
      get keys() { return stage.keys; },
      get chosen() { return stage.chosen || stage.keys; },
      get sample() { return stage.sample; },
      seek: frame => transport.seek(frame),
      get done() {
        const { film, value } = stage;
        return Boolean(film && film.ready && value.done !== false && film.ready === film.total);
      },
      pause: () => transport.pause(),
      play: () => {
        Object.assign(transport, { held: false });
        transport.pause();
        transport.go(stage.value && stage.value.follow ? transport.ready - 1 : 0);
        if (!stage.value || !stage.value.follow) transport.play();
      },
      show: keys => stage.show(keys),
      hold: frame => { transport.pause(); transport.held = true; transport.go(frame); },
      paint: frame => { transport.go(frame); stage.paint(); return stage.took; },
    };
  }

  remove() {
    stages.delete(this);
    this.stop();
    this.sight.disconnect();
    if (this.exporter) this.exporter.remove();
    this.doctor.remove();
    this.transport.pause();
    for (const view of this.views.values()) view.remove();
    for (const card of this.cards) card.remove();
    document.removeEventListener('visibilitychange', this.hide);
  }
}

// Keys go to the stage that has the focus, or to the one in sight when nothing else has it.
document.addEventListener('keydown', event => {
  const focus = document.activeElement;
  const free = !focus || !focus.closest(`.ns-stage, .ns-popover, dialog, ${KEYED}`);
  for (const stage of stages) if (!stage.node.isConnected) stage.remove();
  const stage = [...stages].find(s => (free ? s.there : s.node.contains(focus)));
  if (!stage || event.defaultPrevented) return;
  const typed = focus instanceof HTMLInputElement && focus.type === 'number';
  if (!free && (typed || /^(TEXTAREA|SELECT)$/.test(focus.tagName))) return;
  if (event.key === ' ' && focus && focus.tagName === 'BUTTON') return;
  if (stage.transport.key(event)) event.preventDefault();
});

/** The recipe now says this. */
export const compareAll = recipe => stages.forEach(stage => stage.compare(recipe));
