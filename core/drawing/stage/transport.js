// @ts-check
// The transport: one playhead, moved by play, slider, arrow keys, loop and speed. It knows nothing of what is shown.

import { make, svg } from './dom.js';

const PLAY = 'M4.5 2.5v11l9-5.5z', PAUSE = 'M4 2.5h3v11H4zM9 2.5h3v11H9z';
const SPEEDS = [0.25, 0.5, 1, 2, 4];
/**
 * A film of any length takes 6 s at 1×, and rests on its last frame before it begins again.
 * @type {{seconds?: number, starts?: number[], hold: number}}
 */
const CLOCK = { seconds: 6, hold: 0.8 };

/**
 * Where the playhead stands, and how long it has rested on the last frame: `run` seconds of film and `passed` seconds
 * of the clock later. It waits for what has not arrived, rests on the last frame and, in a loop, begins again.
 * @returns {[number, number]}
 */
export function advance({ at, rest }, run, passed, { ready, total, loop, clock = CLOCK }) {
  const end = total - 1;
  at = Math.min(clock.starts ? later(clock.starts, at, run) : at + run * end / clock.seconds, ready - 1);
  if (at < end) return [at, rest];
  rest += passed;
  return loop && rest > clock.hold ? [0, 0] : [at, rest];
}

// From a place between two frames, where each frame begins at its own second, to that so much later.
function later(starts, at, run) {
  let k = Math.floor(at);
  const length = () => starts[k + 1] - starts[k];
  const time = k + 1 < starts.length ? starts[k] + (at - k) * length() + run : Infinity;
  while (k + 1 < starts.length && starts[k + 1] <= time) k++;
  return k + 1 < starts.length ? k + (time - starts[k]) / length() : k;
}

export class Transport {
  frame = 0; // the one that is shown
  wanted = 0; // the one that the playhead is at; it may not have arrived
  total = 0;
  ready = 0;
  playing = false;
  awake = true;
  speed = 1;
  loop = true;
  held = false; // a hand has taken the playhead
  dragging = false;
  ticking = 0;
  /** What stands in the field when a jump is typed, and which frame the typed number means. */
  startOfJump = () => this.frame;
  jumpTo = value => value;
  button = make('button', 'ns-play', { type: 'button' });
  slider = make('input', 'ns-seek', { type: 'range', min: 0, max: 0, step: 1, value: 0, 'aria-label': 'frame' });
  clock = make('button', 'ns-clock', { type: 'button', title: 'Jump: click and type' });
  jump = make('input', 'ns-jump', { type: 'number', step: 'any', 'aria-label': 'jump to' });
  pace = make('button', 'ns-pill', { type: 'button', title: 'Speed' });
  again = make('button', 'ns-pill', { type: 'button', title: 'Begin again at the end' }, 'loop');

  /**
   * @param {object} uses
   * @param {(frame: number) => void} uses.show paints
   * @param {(frame: number) => void} uses.moved tells that a person has put the playhead somewhere
   * @param {{seconds?: number, starts?: number[], hold: number}} [uses.clock] how long a film takes, or at which second
   *   each frame begins; and how long it rests on the last one
   */
  constructor({ show, moved, clock = CLOCK }) {
    this.clockwork = clock;
    this.show = show;
    this.moved = moved;
    this.jump.hidden = true;
    this.node = make('div', 'ns-transport', { role: 'group', 'aria-label': 'player' },
      this.button, this.slider, this.clock, this.jump, this.pace, this.again);
    this.listen();
    this.label();
  }

  listen() {
    this.button.onclick = () => this.toggle();
    this.slider.onpointerdown = () => { this.dragging = true; };
    this.slider.oninput = () => this.seek(Number(this.slider.value));
    this.slider.onchange = () => { this.dragging = false; this.moved(this.frame); };
    this.pace.onclick = () => {
      this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
      this.label();
    };
    this.again.onclick = () => { this.loop = !this.loop; this.label(); };
    this.clock.onclick = () => {
      if (!this.total) return;
      this.swap(true);
      this.jump.value = String(this.startOfJump());
      this.jump.select();
    };
    this.jump.onkeydown = event => {
      event.stopPropagation();
      if (event.key === 'Escape') this.swap(false);
      if (event.key !== 'Enter') return;
      const value = Number(this.jump.value);
      if (this.jump.value !== '' && Number.isFinite(value)) this.seek(this.jumpTo(value));
      this.swap(false);
      this.clock.focus();
    };
    this.jump.onblur = () => this.swap(false);
  }

  swap(typing) {
    this.jump.hidden = !typing;
    this.clock.hidden = typing;
    if (typing) this.jump.focus();
  }

  label() {
    this.button.replaceChildren(svg(this.playing ? PAUSE : PLAY));
    this.button.setAttribute('aria-label', this.playing ? 'pause' : 'play');
    this.button.disabled = this.total < 2;
    this.pace.textContent = `${this.speed}×`;
    this.pace.setAttribute('aria-label', `speed ${this.speed}`);
    this.again.setAttribute('aria-pressed', String(this.loop));
  }

  // How many frames there are, and how many of them have arrived.
  extent(total, ready) {
    Object.assign(this, { total, ready });
    this.slider.max = String(Math.max(0, total - 1));
    this.slider.style.setProperty('--loaded', String(total > 1 ? Math.min(1, (ready - 1) / (total - 1)) : 1));
    this.label();
    this.go(this.wanted);
  }

  // The playhead wants a frame; while it has not arrived, the last one that has is shown.
  go(frame) {
    this.wanted = Math.max(0, Math.min(this.total - 1, Math.round(frame)));
    const shown = Math.max(0, Math.min(this.wanted, this.ready - 1));
    this.slider.value = String(shown);
    this.slider.style.setProperty('--at', String(this.total > 1 ? shown / (this.total - 1) : 0));
    this.frame = shown;
    this.show(shown);
  }

  // A person moves the playhead.
  seek(frame) {
    this.held = true;
    if (this.playing) this.pause();
    this.go(frame);
    if (!this.dragging) this.moved(this.frame); // a drag is told when the hand lets go
  }

  toggle() {
    this.held = this.playing;
    if (this.playing) return this.pause();
    if (this.wanted >= this.total - 1) this.go(0);
    this.play();
  }

  play() {
    if (this.playing || this.total < 2) return;
    this.playing = true;
    this.label();
    this.run();
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.ticking);
    this.label();
  }

  // Sleep while nobody can see the stage.
  wake(awake) {
    if (this.awake === awake) return;
    this.awake = awake;
    if (awake && this.playing) this.run();
    else cancelAnimationFrame(this.ticking);
  }

  run() {
    let before = null, at = this.frame, rest = 0;
    cancelAnimationFrame(this.ticking);
    const tick = now => {
      if (!this.playing || !this.awake) return;
      if (before !== null) {
        const passed = Math.min(0.25, (now - before) / 1000);
        if (Math.floor(at) !== this.frame) at = this.frame;
        const { ready, total, loop, clockwork: clock } = this;
        [at, rest] = advance({ at, rest }, passed * this.speed, passed, { ready, total, loop, clock });
        if (at >= this.total - 1 && !this.loop) { this.go(this.total - 1); return this.pause(); }
        if (Math.floor(at) !== this.frame) this.go(Math.floor(at));
      }
      before = now;
      this.ticking = requestAnimationFrame(tick);
    };
    this.ticking = requestAnimationFrame(tick);
  }

  // Returns whether the key meant something.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.total) return false;
    const step = event.shiftKey ? 10 : 1;
    if (event.key === ' ') this.toggle();
    else if (event.key === 'ArrowLeft') this.seek(this.frame - step);
    else if (event.key === 'ArrowRight') this.seek(this.frame + step);
    else if (event.key === 'Home') this.seek(0);
    else if (event.key === 'End') this.seek(this.total - 1);
    else return false;
    return true;
  }
}
