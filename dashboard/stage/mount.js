// @ts-check
// A stage in a component of Gradio: its films come from the server, and what a person does there goes to it.

import { Stage, compareAll } from '../../core/drawing/stage/stage.js';
import { linked } from '../page/address.js';
import { holding } from '../page/lessons.js';
import { whenReady } from '../page/ready.js';
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

async function bring(path) {
  const answer = await fetch(address(path));
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  if (!path.endsWith('.deflate')) return answer.arrayBuffer();
  return new Response(answer.body.pipeThrough(new DecompressionStream('deflate'))).arrayBuffer();
}

// A stage, and the line to the server behind it: what a person does is kept until there is one. `painted()`: a film's
// first frame stands on it.
function made(root, options, painted = () => {}) {
  const waits = [];
  const its = {
    exporter: null, handle: null,
    tell(event, data) { waits.push([event, data]); },
    listens(tell) {
      its.tell = tell;
      for (const [event, data] of waits.splice(0)) tell(event, data);
    },
  };
  const tell = (event, data) => its.tell(event, data);
  const own = new Stage(root, options, {
    bring, tell, asked: true,
    exporter: player => (its.exporter = new Exporter(options.formats, player, wish => tell('export', wish))),
    begun: player => {
      known(its.handle, player.order);
      requestAnimationFrame(() => requestAnimationFrame(painted)); // in the first its texts are written
    },
  });
  its.handle = own.handle;
  return Object.assign(its, { stage: own });
}

/** @type {ReturnType<typeof made> | null} the stage that plays until Gradio has put up its own */
let early = null;

/** Play the film that the page opens with before Gradio has come: on a stage that stands where its own will stand. */
export function playEarly(film, options) {
  const root = /** @type {any} */ (document.querySelector('#ns-early .ns-root'));
  document.documentElement.classList.add('ns-early');
  early = made(root, options, () => root.classList.add('ns-begun'));
  root.noisescope = early.handle;
  early.stage.load(film);
}

// The stage that has played till now goes on where Gradio has put up its own, with all that a person has done to it.
function adopted(element) {
  const its = early, place = document.getElementById('ns-early');
  if (!its || !element.closest(`#${place.querySelector('.ns-root').parentElement.id}`)) return null;
  early = null;
  element.querySelector('.ns-root').replaceChildren(its.stage.node);
  place.remove();
  document.documentElement.classList.remove('ns-early');
  return its;
}

/** `events`: those that the server listens to. */
export function stage(element, options, { props, trigger, watch, events }) {
  const its = adopted(element) || made(element.querySelector('.ns-root'), options), own = its.stage;
  element.noisescope = its.handle;
  // A page opens with a film for everyone; one that a link asks something else of waits for that.
  // What is to be guessed is not played yet.
  const show = () => own.load(!props.value || props.value.greeting && linked ? null : holding(props.value));
  own.compare(recipe);
  watch('value', show);
  watch('export_state', () => its.exporter.state(props.export_state));
  watch('status', () => own.tells(props.status || ''));
  show();
  own.tells(props.status || '');
  const listen = () => its.listens((event, data) => { if (events.includes(event)) trigger(event, data); });
  if (document.getElementById('told')) whenReady(listen);
  else listen(); // a page that nobody arrives at
}
