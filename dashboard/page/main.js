// @ts-check
// What Gradio's side of the page may call: all that is exported here is `Noisescope.…` in the scripts of components and
// events. What comes first must be there before Gradio starts.

import './clones.js';
import './line.js';
import { onSpace } from './frame.js';
import { dress } from '../../core/drawing/stage/look.js';
import { found } from '../../core/drawing/stage/terms.js';
import { teach as teachWords } from '../../core/drawing/stage/words.js';
import { playEarly, stage } from '../stage/mount.js';
import { knots } from '../sidebar/knots.js';
import { understood } from '../sidebar/own.js';
import { pad } from '../sidebar/pad.js';
import { picker } from '../sidebar/picker.js';
import { variants } from '../sidebar/variants.js';
import { again, linked } from './address.js';
import { awaited, last, next, pageState } from './changes.js';
import { greet } from './greeting.js';
import { index, strip } from './lesson.js';
import { explaining, teach } from './lessons.js';
import { watchMessages } from './messages.js';
import { decorate, themed } from './shell.js';
import { spare } from './spared.js';
import { seen, stageOf, watchTabs } from './tabs.js';

/**
 * @param {object} page
 * @param {object} page.tables colours of both themes
 * @param {Record<string, string>} page.tips tooltips by id
 * @param {Record<string, string>} page.titles of tabs by name
 * @param {import('./lessons.js').Lesson[]} page.lessons
 * @param {object | null} page.film the film that a page opens with, unless a link asks for another
 * @param {object} page.stage options of the stage that it plays on
 * @param {string} page.space "user/name" where it is a Space on Hugging Face, else ""
 */
export function begin({ tables, tips, titles, lessons, film, stage: options, space }) {
  dress(tables);
  teach(lessons);
  teachWords(() => explaining(found));
  again();
  onSpace(space);
  greet();
  themed();
  if (linked) document.getElementById('ns-early')?.remove();
  else if (film) playEarly(film, options);
  decorate(tips);
  watchTabs(titles);
  watchMessages(awaited);
  spare();
}

/**
 * Gradio's styles have come so far: ours stand from now on behind those.
 * @param {HTMLScriptElement} script that says so
 */
export function dressed(script) {
  script.before(document.getElementById('ns-style'));
}

export { index, knots, last, next, onSpace, pad, pageState, picker, seen, stage, stageOf, strip, understood, variants };
