// @ts-check
// The lessons that there are, where the address says that one is, and what this visitor has guessed so far.

/**
 * @typedef {{kind: string, title: string, text: string, formula: string, press: string, tab: string, query: string,
 *   panels: string, controls: {field: string, label: string}[], solved: string, asked: number,
 *   question: {kind: string, choices: string[], panel: string, axes: string[]} | null}} Step
 * @typedef {{name: string, title: string, order: number, minutes: number, words: string[], drawing: boolean,
 *   steps: Step[]}} Lesson
 * @typedef {{step: number, done: boolean, met: boolean, answers: Record<string, any>}} Kept
 */

const KEPT = 'noisescope-lessons';
const lessons = /** @type {Map<string, Lesson>} */ (new Map());

/** @param {Lesson[]} catalogue in their order */
export function teach(catalogue) { for (const lesson of catalogue) lessons.set(lesson.name, lesson); }

/** A word of the glossary as a header has it, in the page's markup: x_t → x_{t}. */
export const marked = word => word.replace(/_(\w+)/g, '_{$1}');

/** Which lesson explains a term first: key → {title, href}. `found(text)` gives the terms in a text. */
export function explaining(found) {
  /** @type {Record<string, {title: string, href: string}>} */
  const byTerm = {};
  for (const { name, title, words } of all()) {
    for (const [, , key] of words.flatMap(word => found(marked(word)))) {
      byTerm[key] ||= { title, href: `?lesson=${name}` };
    }
  }
  return byTerm;
}

export const all = () => [...lessons.values()];
export const lessonOf = name => lessons.get(name) || null;

/**
 * The step that an address asks for: of a lesson that there is, the first where its number is none of its steps.
 * @returns {{lesson: Lesson, number: number} | null}
 */
export function placeOf(asked) {
  const lesson = lessonOf(asked.get('lesson') || '');
  if (!lesson) return null;
  const number = Math.round(Number(asked.get('step') || 1)) - 1;
  return { lesson, number: number >= 0 && number < lesson.steps.length ? number : 0 };
}

/**
 * A link to what a step shows, of the visitor's own drawing in place of the step's data.
 * @param {string} query of the step
 * @param {string} recipe that stands now, with that drawing: its model goes along
 */
export function drawnOf(query, recipe) {
  const drawn = new URLSearchParams(query);
  drawn.set('data', 'own');
  drawn.set('model', new URLSearchParams(recipe).get('model') || 'exact');
  return drawn.toString();
}

/**
 * The frame that is nearest to a time; of a film over rows or over training steps, to so many.
 * @param {Record<string, ArrayLike<number>>} numbers of a film
 */
export function frameOf(numbers, value) {
  const t = Array.from(numbers.t), still = t.every(each => each === t[0]);
  const clock = Array.from(numbers.rows || (still && numbers.step) || t);
  const apart = clock.map(each => Math.abs(each - value));
  return apart.indexOf(Math.min(...apart));
}

// What is kept may be of another time, or bent by hand.
function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) || '{}');
    return found && typeof found === 'object' && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
}

/** @returns {Kept} of a lesson */
export function kept(name) {
  const found = read()[name];
  const plain = found && typeof found === 'object' ? found : {};
  const answers = plain.answers && typeof plain.answers === 'object' ? plain.answers : {};
  const step = Number.isInteger(plain.step) ? plain.step : 0;
  return { step, done: plain.done === true, met: plain.met === true, answers };
}

/** @param {Partial<Kept>} changes */
export function keep(name, changes) {
  const found = read();
  found[name] = { ...kept(name), ...changes };
  try {
    localStorage.setItem(KEPT, JSON.stringify(found));
  } catch {
    // a full or closed store: the lesson goes on, and is not remembered
  }
}

let held = false;

/** Whether films stand at their beginning: their end is being guessed. */
export function hold(yes) { held = yes; }

/** A film's value, as it is to be loaded now. */
export const holding = value => (held ? { ...value, frame: 0 } : value);

/** Everything that was guessed is forgotten. */
export function forget(name) {
  const found = read();
  delete found[name];
  try {
    localStorage.setItem(KEPT, JSON.stringify(found));
  } catch {
    // nothing was kept there
  }
}
