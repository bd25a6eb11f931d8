// @ts-check
// The data sets, each a small picture.

import { make } from '../../core/drawing/stage/dom.js';

export function picker(element, { props, watch, trigger }) {
  const root = element.querySelector('.ns-picker');
  const draw = () => {
    const was = root.scrollTop;
    root.replaceChildren(...props.items.map(({ name, title, image }) => {
      const on = name === props.value;
      const is = { type: 'button', role: 'radio', title, 'aria-label': title, 'aria-checked': on };
      const button = make('button', 'ns-pick', is);
      button.append(make('img', '', { src: image, alt: '' }));
      button.onclick = () => {
        for (const other of root.children) other.setAttribute('aria-checked', other === button);
        trigger(name);
      };
      return button;
    }));
    // What a link has chosen may stand below the rows that are seen.
    root.scrollTop = was;
    const on = root.querySelector('[aria-checked=true]');
    if (on && on.offsetTop < root.scrollTop) root.scrollTop = on.offsetTop;
    if (on) root.scrollTop = Math.max(root.scrollTop, on.offsetTop + on.offsetHeight - root.clientHeight + 6);
  };
  draw();
  watch(['value', 'items'], draw);
}
