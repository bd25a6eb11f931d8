// @ts-check
// A stage in a component of Gradio: its films come from the server, and what a person does there goes to it.

import { Stage, compareAll } from '../../core/drawing/stage/stage.js';
import { linked } from '../page/address.js';
import { holding } from '../page/lessons.js';
import { known } from '../page/tabs.js';
import { Exporter } from './exporter.js';

let recipe = {}; // in words, by field

/** What the recipe says now: a film of another one says so. */
export function mostRecent(words) {
  recipe = words || {};
  compareAll(recipe);
}

// Of a file in the server's cache, wherever the page is served from.
function address(path) {
  const root = /** @type {any} */ (window).gradio_config?.root ?? '.';
  return `${root}/gradio_api/file=${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** @type {Map<string, Promise<ArrayBuffer>>} files that are on their way before anything has asked for them */
const ahead = new Map();

/** Fetch the film that the page opens with while the page is being put up. */
export function fetchAhead(paths) {
  for (const path of paths) {
    const coming = load(path);
    coming.catch(() => {}); // who asks for it hears of that
    ahead.set(path, coming);
  }
}

function bring(path) {
  const coming = ahead.get(path) || load(path);
  ahead.delete(path);
  return coming;
}

async function load(path) {
  const answer = await fetch(address(path));
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  if (!path.endsWith('.deflate')) return answer.arrayBuffer();
  return new Response(answer.body.pipeThrough(new DecompressionStream('deflate'))).arrayBuffer();
}

/** `events`: those that the server listens to. */
export function stage(element, options, { props, trigger, watch, events }) {
  const tell = (event, data) => { if (events.includes(event)) trigger(event, data); };
  let exporter = null;
  const own = new Stage(element.querySelector('.ns-root'), options, {
    bring, tell, asked: true,
    exporter: its => (exporter = new Exporter(options.formats, its, wish => tell('export', wish))),
    begun: its => known(element.noisescope, its.order),
  });
  element.noisescope = own.handle;
  // A page opens with a film for everyone; one that a link asks something else of waits for that.
  // What is to be guessed is not played yet.
  const show = () => own.load(!props.value || props.value.greeting && linked ? null : holding(props.value));
  own.compare(recipe);
  watch('value', show);
  watch('export_state', () => exporter.state(props.export_state));
  watch('status', () => own.tells(props.status || ''));
  show();
  own.tells(props.status || '');
}
