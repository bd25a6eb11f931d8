// @ts-check
// A lesson on the page: a strip above the stage that asks first, lets the stage run, and then says who was right, by
// the numbers of that very run. The stage, its chips and the recipe stay as live as ever.

import { download, make } from '../../core/drawing/stage/dom.js';
import { rich } from '../../core/drawing/stage/markup.js';
import { explain } from '../../core/drawing/stage/words.js';
import { address, go, onPlace, write } from './address.js';
import { asking, curves, figure, isRight, spot, unspot } from './answers.js';
import { reveal } from './folds.js';
import { openPad } from './greeting.js';
import { all, drawnOf, forget, frameOf, hold, keep, kept, lessonOf, marked } from './lessons.js';
import { stageOf } from './tabs.js';

const MAIN = 'ns-lesson-button ns-main';
const EVERY = 200; // milliseconds between two looks at the stage
const RETRIES = 5; // times that a question is asked again of a film that the server does not know yet
const NAMES = { guess: 'Guess', run: 'Run', saw: 'Look', explain: 'Why', mend: 'Mend' };
const WHY = 'Guess before you look: who guesses first sees more rightly what then happens, whether the guess was ' +
  'right or wrong.';
const WHY_SOURCE = 'Miller, Lasry, Chu & Mazur 2013, Role of physics lecture demonstrations in conceptual learning';

const reduced = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
const narrow = () => matchMedia('(max-width: 760px)').matches;

// What is shown now, and what is known of the run on the stage.
const now = {
  /** @type {import('./lessons.js').Lesson | null} */
  lesson: null,
  number: 0,
  stale: '', // the film that stood there when the step began; unless it is the step's own, another is on its way
  asked: '', // of which film the server was asked last
  tries: 0,
  /** @type {any} what it said */
  told: null,
  film: '', // the film that was begun here
  seen: false, // the run has been seen to its end, or enough of it
  held: '', // the film whose playhead was left where its answer is seen
  again: false, // an answer is given anew
};
/** @type {{root: Element, judge: (asked: object) => void, slides: (asked: object) => void} | null} */
let strip_ = null;
let ticking = 0, looked = ''; // looked: what the strip was built of

const step = () => now.lesson.steps[now.number];
const stage = () => stageOf(`stage-${step().tab}`);
const present = () => (address.present ? '&present=' : '');
const query = (name, number, more = '') => `?lesson=${name}&step=${number + 1}${more}${present()}`;

/** The strip's component. */
export function strip(root, { props, watch, judge, slides }) {
  strip_ = { root, judge, slides };
  watch('value', () => hear(props.value));
  watch('slides_state', () => sliding(props.slides_state));
  looked = '';
  place();
}

onPlace(place);

// The address speaks of this step now.
function place() {
  const lesson = lessonOf(address.lesson), other = lesson !== now.lesson || address.step !== now.number;
  document.body.classList.toggle('ns-learning', Boolean(lesson));
  document.body.classList.toggle('ns-present', address.present);
  if (other) {
    Object.assign(now, { lesson, number: lesson ? address.step : 0, film: '', seen: false, again: false });
    Object.assign(now, { asked: '', told: null, held: '', stale: lesson ? filmOn(stage()) : '' });
    if (lesson) keep(lesson.name, { step: now.number });
    unmark();
    unspot();
  }
  const guessing = Boolean(lesson) && step().kind === 'guess';
  hold(guessing);
  document.body.classList.toggle('ns-guessing', guessing);
  clearInterval(ticking);
  if (lesson) ticking = window.setInterval(tick, EVERY);
  draw();
  tick();
}

/** Whether the lesson is taken with a drawing of the visitor's own. */
const withDrawing = () => new URLSearchParams(address.recipe).get('data') === 'own';

/** To a step of a lesson: its stage is set, unless it stands there already. */
function to(name, number, drawn = withDrawing()) {
  const lesson = lessonOf(name), its = lesson.steps[number];
  go(query(name, number, drawn && lesson.drawing ? `&${drawnOf(shows(its), address.recipe)}` : ''));
  strip_?.root.querySelector('h2')?.focus({ preventScroll: true });
  if (narrow() || strip_ && strip_.root.getBoundingClientRect().top < 0) strip_?.root.scrollIntoView();
}

/** What a step shows, as a query. */
const shows = its => [its.query, `tab=${its.tab}`, its.panels && `panels=${its.panels}`].filter(Boolean).join('&');

function leave() {
  write({ lesson: '', step: 0, present: false }, true);
  place();
}

// ---- the stage ----

const filmOn = on => (on && on.film && on.film.ready ? on.film.id : '');

function tick() {
  const { lesson } = now;
  if (!lesson) return;
  const its = step(), on = stage(), film = filmOn(on);
  if (its.kind === 'mend') mark(its.controls);
  if (film && film !== now.film) {
    now.film = film;
    const panels = address.panels || its.panels; // a tab that comes to the front may have made its own choice
    if (panels) on.show(panels.split(','));
    if (its.kind === 'run') reduced() ? on.hold(on.total - 1) : on.play();
    if (its.kind === 'guess') on.hold(0);
  }
  if (its.kind === 'run' && on && on.done && reduced() && on.frame < on.total - 1 && !now.seen) on.hold(on.total - 1);
  if (its.kind === 'run' && on && on.done && film === now.film && on.frame >= on.total - 1 && !now.seen) {
    now.seen = true;
    draw();
  }
  ask(on, film);
  stay(on, film);
  draw();
}

// Where the answer is seen, the playhead is left; who moves it on is not brought back.
function stay(on, film) {
  const said = now.told && now.told.verdict;
  if (!now.seen || !said || said.hold === null || now.held === film || film !== now.film) return;
  now.held = film;
  on.hold(frameOf(on.film.numbers, said.hold));
}

function ask(on, film) {
  if (step().kind === 'guess' || !film || !on.done || !strip_) return;
  const key = [now.lesson.name, now.number, film, on.total].join('|');
  if (now.asked === key) return;
  Object.assign(now, { asked: key, tries: 0 });
  pose(key, film);
}

function pose(key, film) {
  strip_.judge({ for: key, lesson: now.lesson.name, step: now.number, tab: step().tab, film });
}

// What the server says of the film that it was asked of.
function hear(value) {
  if (!value || value.for !== now.asked) return;
  const [,, film] = value.for.split('|');
  if (film === now.stale && value.own === false) return; // what it shows is no work of this step
  now.told = value;
  if (value.later && now.tries++ < RETRIES) {
    setTimeout(() => { if (now.asked === value.for) pose(value.for, film); }, 300 * now.tries);
  }
  if (value.verdict && value.verdict.goal) keep(now.lesson.name, { met: true });
  draw();
}

// ---- the lesson as one file, to show to a class ----

const NO_SLIDES = 'Slides';
let slidesSay = NO_SLIDES; // how far they are
let saving = false; // somebody waits for them here

function askForSlides() {
  saving = true;
  slidesSay = 'Slides …';
  draw();
  strip_.slides({ lesson: now.lesson.name });
}

// {done: 0…1, file: {url, orig_name}, wrong} from the server
function sliding(state) {
  if (!state || !saving) return;
  saving = state.done < 1;
  slidesSay = saving ? `Slides ${Math.round(100 * state.done)} %` : state.wrong || NO_SLIDES;
  draw();
  if (state.file) download(state.file);
}

// ---- the controls that a step is about ----

function mark(controls) {
  for (const { field } of controls) document.getElementById(`field-${field}`)?.classList.add('ns-turn');
}

function unmark() {
  for (const node of document.querySelectorAll('.ns-turn')) node.classList.remove('ns-turn');
}

function find(field) {
  document.body.classList.add('ns-open');
  const node = document.getElementById(`field-${field}`);
  if (node) reveal(node);
  /** @type {HTMLElement | null | undefined} */
  const input = node?.querySelector('input, button');
  input?.focus({ preventScroll: true });
}

// ---- the strip ----

// It is built anew when something in it has changed, and not otherwise: a hand may be in it.
function draw() {
  if (!strip_) return;
  const { lesson } = now, { root } = strip_;
  if (!lesson) {
    looked = '';
    root.replaceChildren();
    return;
  }
  const astray = document.body.dataset.tab !== step().tab;
  const looks = JSON.stringify([lesson.name, now.number, now.told, now.seen, now.again, kept(lesson.name), astray,
    address.present, slidesSay, withDrawing()]);
  if (looks === looked) return;
  looked = looks;
  const before = ungiven(root), held = document.activeElement;
  const focus = held instanceof HTMLElement && root.contains(held) && held.dataset.name;
  root.replaceChildren(built(astray));
  const steps = root.querySelector('.ns-lesson-steps');
  const current = /** @type {HTMLElement} */ (steps.querySelector('[aria-current]'));
  steps.scrollLeft = current.offsetLeft + current.offsetWidth / 2 - steps.clientWidth / 2;
  for (const [name, value] of before) {
    const box = /** @type {HTMLInputElement | null} */ (root.querySelector(`input[data-name="${CSS.escape(name)}"]`));
    if (box) box.value = value;
  }
  const again = focus && /** @type {HTMLElement | null} */ (root.querySelector(`[data-name="${CSS.escape(focus)}"]`));
  if (focus) (again || root.querySelector('h2'))?.focus({ preventScroll: true });
}

// What was typed at this step and is not given yet: the film's end must not take it away.
function ungiven(root) {
  const same = `.ns-lesson[data-step="${now.number + 1}"][data-lesson="${now.lesson.name}"] input.ns-typed`;
  return [...root.querySelectorAll(same)].filter(box => box.value).map(box => [box.dataset.name, box.value]);
}

const words = (node, text) => { rich(node, text); return node; };

// A paragraph whose terms say what they are.
function explained(look, text, equation = false) {
  const node = make('p', look);
  explain(node, text, equation);
  return node;
}

function button(name, text, press, look = 'ns-lesson-button') {
  const node = make('button', look, { type: 'button', 'data-name': name }, text);
  node.onclick = press;
  return node;
}

function built(astray) {
  const { lesson, number } = now, its = step();
  const told = now.told && now.told.verdict;
  const open = its.kind !== 'run' || now.seen && Boolean(told); // of a run the conclusion is not said before it is seen
  const head = make('h2', 'ns-lesson-headline', { tabindex: -1, 'data-name': 'headline' });
  words(head, its.kind === 'run' && !open ? waiting() : told ? told.headline : its.title);
  const side = make('div', 'ns-lesson-ask'), main = make('div', 'ns-lesson-words', {}, head);
  const text = open && (told ? told.text : its.kind === 'guess' || !its.text.includes('…') ? its.text : '');
  if (text) main.append(explained('ns-lesson-text', text));
  if (open && its.formula) main.append(explained('ns-lesson-formula', told ? told.formula : its.formula, true));
  if (astray) main.append(notice('The tab in front is another than the one that this step is about.', 'Back to it'));
  else if (now.told && now.told.own === false && !told) {
    main.append(notice('The stage shows another run than the one that this step is about.', 'Its own run again'));
  }
  ({ guess, run: outcome, saw, explain: outcome, mend })[its.kind](side, told, open);
  const [before, after] = moves(open);
  side.append(make('div', 'ns-lesson-moves', {}, ...before, ...after));
  return make('section', 'ns-lesson', { 'aria-label': `lesson ${lesson.order}: ${lesson.title}`, 'data-kind': its.kind,
    'data-step': number + 1, 'data-lesson': lesson.name }, header(), make('div', 'ns-lesson-body', {}, main, side));
}

function waiting() {
  const its = step();
  return its.press && !(now.told && now.told.verdict) ? 'Train, and watch what it learns' : 'Watch';
}

function notice(text, name) {
  return make('p', 'ns-lesson-notice', { role: 'status' }, text, ' ',
    button('back', name, () => to(now.lesson.name, now.number), 'ns-link-button'));
}

function header() {
  const { lesson, number } = now, mine = kept(lesson.name);
  const steps = make('ol', 'ns-lesson-steps');
  lesson.steps.forEach((one, k) => {
    const node = button(`step-${k}`, NAMES[one.kind], () => to(lesson.name, k), 'ns-lesson-step');
    if (k === number) node.setAttribute('aria-current', 'step');
    node.title = `step ${k + 1} of ${lesson.steps.length}`;
    node.classList.toggle('ns-past', k < number || mine.done);
    steps.append(make('li', '', {}, node));
  });
  const list = button('list', 'Lessons ›', () => go('?tab=learn'), 'ns-lesson-name');
  list.setAttribute('aria-label', 'all lessons');
  const title = words(make('span', 'ns-lesson-title'), `${lesson.order} · ${lesson.title}`);
  const show = button('present', address.present ? 'Page' : 'Projector', () => {
    write({ present: !address.present });
    place();
  }, 'ns-quiet-button');
  show.title = address.present ? 'As before (Esc)' : 'Large, for a class: the arrow keys turn the steps';
  const close = button('leave', '×', leave, 'ns-quiet-button');
  close.setAttribute('aria-label', 'leave the lesson');
  close.title = 'Leave the lesson; it can be taken up again';
  const file = button('slides', slidesSay, askForSlides, 'ns-quiet-button');
  file.title = 'The lesson in one file, a slide for each step, its films live in it';
  file.disabled = saving;
  return make('header', 'ns-lesson-head', {}, list, title, steps,
    make('span', 'ns-lesson-tools', {}, file, show, close));
}

// Who has seen enough of a run.
function enough() {
  const on = stage();
  if (on) on.hold(on.total - 1);
  now.seen = true;
  draw();
}

function moves(open) {
  const { lesson, number } = now, its = step(), last = number === lesson.steps.length - 1;
  const before = number > 0 ? [button('before', 'Back', () => to(lesson.name, number - 1))] : [];
  if (its.kind === 'guess') {
    const given = kept(lesson.name).answers[number] !== undefined;
    const next = given ? 'Run it' : 'Just show me';
    return [before, [button('next', next, () => to(lesson.name, number + 1), given ? MAIN : undefined)]];
  }
  if (its.kind === 'run' && !open) {
    if (!its.press || now.told && now.told.verdict) return [before, [button('enough', 'To the end', enough)]];
    return [before, [button('press', 'Train', () => document.getElementById(its.press)?.click(), MAIN)]];
  }
  if (!last) return [before, [button('next', 'Next', () => to(lesson.name, number + 1), MAIN)]];
  if (!kept(lesson.name).done && (its.kind !== 'mend' || kept(lesson.name).met)) {
    keep(lesson.name, { done: true, step: 0 });
  }
  const following = all().find(other => other.order > lesson.order);
  const on = following ? [button('following', `Next: ${following.title}`, () => to(following.name, 0),
    kept(lesson.name).done ? MAIN : undefined)] : [];
  return [before, [...on, button('index', 'All lessons', () => go('?tab=learn'))]];
}

// ---- the kinds of steps ----

function guess(side) {
  const { lesson, number } = now;
  if (!all().some(one => kept(one.name).done || Object.keys(kept(one.name).answers).length)) {
    side.append(make('p', 'ns-lesson-why', { title: WHY_SOURCE }, WHY));
  }
  side.append(asking(step().question, kept(lesson.name).answers[number], answer => {
    keep(lesson.name, { answers: { ...kept(lesson.name).answers, [number]: answer } });
    draw();
  }, stage), ...drawing());
}

// A lesson that is as true of any shape can be taken with one's own.
function drawing() {
  const { lesson, number } = now;
  if (!lesson.drawing) return [];
  return [withDrawing()
    ? button('undrawn', 'Without my drawing', () => to(lesson.name, number, false), 'ns-link-button')
    : button('draw', 'Draw a shape of your own for it', openPad, 'ns-link-button')];
}

// What was guessed, beside what came of it. What came is kept with it, for the steps that follow.
function outcome(side, told, open) {
  const { lesson, number } = now, at = lesson.steps.findLastIndex((one, k) => k <= number && one.kind === 'guess');
  if (at < 0) return;
  const { question } = lesson.steps[at], { answers } = kept(lesson.name), truth = `came of ${at}`;
  const runs = step().kind === 'run', came = runs ? open && told && told.answer : answers[truth];
  if (runs && came) keep(lesson.name, { answers: { ...answers, [truth]: came } });
  side.append(shown(question, answers[at], came, 'your guess'));
  if (came && question.kind === 'place') spot(question, stage(), came.truth, 'ns-true-spot');
  if (answers[at] && question.kind === 'place') spot(question, stage(), answers[at], 'ns-mine-spot');
}

function shown(question, given, came, mine) {
  const node = make('div', 'ns-outcome'), none = given === undefined;
  const said = none ? 'You did not guess.' : !came ? 'You guessed:'
    : isRight(question, came, given) ? 'You guessed right.' : 'It came out otherwise.';
  node.append(make('p', 'ns-lesson-label', {}, said));
  if (question.kind !== 'choices') {
    if (!none) node.append(line(question, mine, given));
    if (came) node.append(line(question, 'in this run', came.truth, 'ns-holds'));
    if (question.kind === 'curve') node.append(curves(question, given, came && came.truth));
    return node;
  }
  const list = make('ul', 'ns-outcomes');
  question.choices.forEach((text, k) => {
    const holds = Boolean(came && came.holds[k]), chosen = given === k;
    const sign = holds ? '✓' : chosen ? (came ? '✗' : '→') : '';
    const tag = [chosen ? mine : '', holds ? 'so it is' : ''].filter(Boolean).join(', ');
    list.append(make('li', `${holds ? 'ns-holds' : ''} ${chosen ? 'ns-mine' : ''}`, {},
      make('span', '', { 'aria-hidden': 'true' }, sign), words(make('span'), text), make('span', 'ns-tag', {}, tag)));
  });
  node.append(list);
  const reply = came && !none && came.replies[given];
  if (reply) node.append(words(make('p', 'ns-reply'), reply));
  return node;
}

// An answer that is no choice; a time is a press away from being seen.
function line(question, who, value, look = '') {
  const node = make('p', `ns-outcome-line ${look}`, {}, `${who}: `), said = figure(question, value);
  const there = () => stage()?.hold(frameOf(stage().film.numbers, value));
  node.append(question.kind === 'playhead' ? button(`at ${who}`, said, there, 'ns-link-button') : said);
  return node;
}

function saw(side, told) {
  const { lesson, number } = now, { question } = step(), { answers } = kept(lesson.name), given = answers[number];
  if (given === undefined || now.again || !told) {
    side.append(asking(question, given, answer => {
      now.again = false;
      keep(lesson.name, { answers: { ...kept(lesson.name).answers, [number]: answer } });
      draw();
    }, stage));
    return;
  }
  const right = isRight(question, told.answer, given), node = shown(question, given, told.answer, 'your answer');
  node.firstChild.textContent = right ? 'That is what is there.' : 'Look again:';
  if (!right) node.append(button('again', 'Answer again', () => { now.again = true; draw(); }, 'ns-link-button'));
  side.append(node);
}

function mend(side, told) {
  const { controls, solved } = step(), { lesson, number } = now, met = Boolean(told && told.goal);
  const which = controls.length > 1 ? 'Turn one of these in the recipe: ' : 'Turn this in the recipe: ';
  const fields = make('p', 'ns-lesson-controls', {}, which);
  for (const { field, label } of controls) {
    fields.append(button(`field-${field}`, label, () => find(field), 'ns-control'), ' ');
  }
  const state = make('p', `ns-lesson-state ${met ? 'ns-holds' : ''}`, { role: 'status' });
  const tried = told && !now.told.own;
  words(state, met ? '✓ Mended.' : tried ? `Not yet. ${told.hint}` : 'The page says when it is mended.');
  side.append(fields, state, ...drawing());
  const solve = () => go(query(lesson.name, number, `&${
    withDrawing() && lesson.drawing ? drawnOf(solved, address.recipe) : solved}`));
  if (!met) side.append(button('solve', 'Show me', solve, 'ns-link-button'));
}

// ---- for a class: the keys of a pointer turn the steps ----

document.addEventListener('keydown', event => {
  if (!address.present || !now.lesson || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event, typed = 'input, textarea, select, [contenteditable]';
  if (target instanceof HTMLElement && target.closest(typed) && event.key !== 'Escape') return;
  const { lesson, number } = now, digit = Number(event.key);
  if (event.key === 'ArrowRight' || event.key === 'PageDown') {
    if (step().kind === 'run' && !now.seen) enough();
    else if (number + 1 < lesson.steps.length) to(lesson.name, number + 1);
  } else if (event.key === 'ArrowLeft' || event.key === 'PageUp') {
    if (number > 0) to(lesson.name, number - 1);
  } else if (event.key === 'Escape') {
    write({ present: false });
    place();
  } else if (digit >= 1 && digit <= 5) {
    const choice = /** @type {HTMLElement | null} */ (strip_?.root.querySelector(`[data-name="choice-${digit - 1}"]`));
    if (!choice) return;
    choice.click();
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

// ---- the list ----

/** All lessons, with how far this visitor is in each. */
export function index(root) {
  let looks = '';
  const show = () => {
    const mine = JSON.stringify(all().map(lesson => kept(lesson.name)));
    if (mine === looks) return;
    looks = mine;
    const done = all().filter(lesson => kept(lesson.name).done).length;
    const first = all().find(lesson => !kept(lesson.name).done) || all()[0];
    root.replaceChildren(
      make('header', 'ns-lessons-head', {},
        make('h2', 'ns-question', {}, 'Guess first, then look'),
        make('p', 'ns-lessons-what', {}, 'Each lesson asks one question, lets the page run, and says by its numbers ' +
          `who was right. ${done ? `${done} of ${all().length} done.` : 'A few minutes each; nothing is locked.'}`)),
      make('ol', 'ns-lessons-list', {}, ...all().map(lesson => card(lesson, lesson === first))));
  };
  new IntersectionObserver(show).observe(root);
  show();
}

function card(lesson, first) {
  const mine = kept(lesson.name), begun = mine.step > 0 || Object.keys(mine.answers).length > 0;
  const here = `step ${mine.step + 1} of ${lesson.steps.length}`;
  const said = mine.done ? '✓ done' : begun ? here : `${lesson.minutes} min`;
  const link = make('a', 'ns-lesson-card', { href: query(lesson.name, mine.done ? 0 : mine.step) },
    make('span', 'ns-lesson-order', {}, String(lesson.order)), words(make('b'), lesson.title),
    words(make('span', 'ns-lesson-words-list'), lesson.words.map(marked).join(' · ')),
    make('span', 'ns-lesson-said', {}, said));
  link.classList.toggle('ns-next', first);
  link.onclick = event => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (mine.done) forget(lesson.name);
    go(query(lesson.name, mine.done ? 0 : mine.step));
  };
  return make('li', mine.done ? 'ns-done' : begun ? 'ns-begun' : '', {}, link);
}
