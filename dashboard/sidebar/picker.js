// @ts-check
// The data sets, each a small picture, all of them seen: by kind, with the name of the one that is chosen or looked at.
// They are one stop of the Tab key; arrows lead from one to the next.

import { make } from '../../core/drawing/stage/dom.js';

const WAYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export function picker(element, { props, watch, trigger }) {
  const root = element.querySelector('.ns-picker'), name = make('span', 'ns-picked');
  /** @type {HTMLElement[]} */
  let buttons = [];
  let built = '', pointed = false; // whether the focus in it came by a pointer: arrows are the playhead's then
  const chosen = () => buttons.find(button => button.dataset.name === props.value);
  const call = button => { name.textContent = button ? button.title : ''; };
  const mark = () => {
    const on = chosen();
    for (const button of buttons) {
      button.setAttribute('aria-checked', String(button === on));
      button.tabIndex = button === (on || buttons[0]) ? 0 : -1;
    }
    call(on);
  };
  const put = ({ name: key, title, image }) => {
    const is = { type: 'button', role: 'radio', title, 'aria-label': title, 'data-name': key };
    const button = make('button', 'ns-pick', is, make('img', '', { src: image, alt: '' }));
    button.onclick = () => {
      for (const other of buttons) other.setAttribute('aria-checked', String(other === button));
      trigger(key);
    };
    button.onpointerenter = button.onfocus = () => call(button);
    button.onpointerleave = button.onblur = () => call(chosen());
    return button;
  };
  const draw = () => {
    const items = props.items.map(({ name: key, image }) => key + image).join();
    if (items !== built) {
      built = items;
      buttons = [];
      root.replaceChildren(name, ...[...new Set(props.items.map(({ kind }) => kind))].map(kind => {
        const some = props.items.filter(item => item.kind === kind).map(put);
        buttons.push(...some);
        return make('div', 'ns-picks', {}, make('span', 'ns-kind', {}, kind), ...some);
      }));
    }
    mark();
  };
  root.onpointerdown = () => { pointed = true; };
  root.addEventListener('focusout', ({ relatedTarget }) => { pointed &&= root.contains(relatedTarget); });
  root.onkeydown = event => {
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement)), last = buttons.length - 1;
    const to = { Home: 0, End: last }[event.key] ?? (event.key in WAYS ? at + WAYS[event.key] : -1);
    if (pointed || at < 0 || !(event.key in WAYS || event.key === 'Home' || event.key === 'End')) return;
    event.preventDefault();
    buttons[(to + buttons.length) % buttons.length].focus();
  };
  draw();
  watch(['value', 'items'], draw);
}
