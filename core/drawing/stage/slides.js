// @ts-check
// Slides for a class, in one file that asks nobody for anything: what is asked or said, and below it the film, as live
// as anywhere. The arrow keys, a pointer's keys and a finger turn them; `#3` opens the third.

import { make } from './dom.js';
import { rich } from './markup.js';
import { coloured, themes, unpacked } from './player.js';
import { Stage } from './stage.js';

const EVERY = 100; // milliseconds between two looks whether a film has been unpacked

/**
 * @typedef {{headline: string, text: string[], choices: string[], holds: boolean[], formula: string,
 *   film: number | null, at: string}} Slide
 * @typedef {{chunks: string[], findings: string | null, shown: string[], total: number,
 *   clock: {starts: number[], hold: number}}} Film
 */

const words = (node, text) => { rich(node, text); return node; };

function said({ headline, text, choices, holds, formula }) {
  const list = make('ol', 'slide-choices');
  choices.forEach((choice, k) => {
    const node = words(make('li', holds[k] ? 'holds' : ''), choice);
    if (holds[k]) node.prepend(make('span', '', {}, '✓ '));
    list.append(node);
  });
  return [words(make('h1', '', { tabindex: -1 }), headline),
    ...text.filter(Boolean).map(line => words(make('p'), line)),
    ...(formula ? [words(make('p', 'slide-formula'), formula)] : []), ...(choices.length ? [list] : [])];
}

// One film's stage. It stands where the slide that is shown wants it.
class Show {
  node = make('div', 'ns-root');
  begun = false;
  timer = 0;

  /** @param {Film} film */
  constructor(film, title) {
    const options = { question: title, shown: film.shown, empty: 'opening …', autoplay: false, uses: [], renew: '',
      clock: film.clock };
    const begun = () => { this.begun = true; };
    const stage = new Stage(this.node, options, { bring: unpacked, tell: () => {}, begun });
    stage.load({ film: film.chunks[0], chunks: film.chunks.map(path => ({ path })), done: true, total: film.total,
      findings: film.findings ? { path: film.findings } : null });
    this.stage = stage.handle;
    Object.assign(this.node, { noisescope: stage.handle });
  }

  stand(at) {
    clearTimeout(this.timer);
    if (!this.begun || !this.stage.done) {
      this.timer = window.setTimeout(() => this.stand(at), EVERY);
      return;
    }
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (at === 'start') this.stage.hold(0);
    else if (at === 'end' || still) this.stage.hold(this.stage.total - 1);
    else this.stage.play();
  }
}

/**
 * @param {object} show
 * @param {string} show.title
 * @param {Slide[]} show.slides
 * @param {Film[]} show.films
 * @param {string} show.colours the id of the element that holds them
 */
export async function slides({ title, slides: told, films, colours }) {
  const theme = themes(false), root = document.getElementById('stage');
  await coloured(colours);
  const text = make('div', 'slide-words', { 'aria-live': 'polite' }), below = make('div', 'slide-film');
  const place = make('span', 'slide-place');
  const turn = (name, by) => {
    const node = make('button', 'slide-turn', { type: 'button', 'aria-label': name }, by > 0 ? '→' : '←');
    node.onclick = () => show(number + by);
    return node;
  };
  const back = turn('the slide before', -1), on = turn('next slide', 1);
  const head = make('header', 'slide-head', {}, make('span', '', {}, title), back, place, on, theme);
  root.replaceChildren(head, text, below);
  /** @type {Map<number, Show>} */
  const shows = new Map();
  let number = -1;

  function show(wanted) {
    const next = Math.max(0, Math.min(told.length - 1, wanted));
    if (next === number) return;
    number = next;
    const slide = told[number];
    location.hash = String(number + 1);
    document.body.dataset.at = slide.at;
    text.replaceChildren(...said(slide));
    place.textContent = `${number + 1} / ${told.length}`;
    back.disabled = number === 0;
    on.disabled = number === told.length - 1;
    for (const [film, one] of shows) {
      clearTimeout(one.timer);
      one.stage.pause();
      one.node.hidden = film !== slide.film; // a stage that is taken out is given up
    }
    if (slide.film === null) return;
    if (!shows.has(slide.film)) shows.set(slide.film, new Show(films[slide.film], title));
    below.append(shows.get(slide.film).node);
    shows.get(slide.film).stand(slide.at);
  }

  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    if (!by || event.target instanceof HTMLElement && event.target.closest('input, textarea, select')) return;
    show(number + by);
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  const asked = () => show((Number(location.hash.slice(1)) || 1) - 1);
  addEventListener('hashchange', asked);
  asked();
}
