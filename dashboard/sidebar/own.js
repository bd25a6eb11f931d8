// @ts-check
// How a file of one's own was read: a title, a small picture, and one line for each thing that was understood.

import { make } from '../../core/drawing/stage/dom.js';

export function understood(element, value) {
  const root = element.querySelector('.ns-read');
  if (!value) return root.replaceChildren();
  const list = make('dl', 'ns-read-list');
  for (const [what, how] of value.rows) list.append(make('dt', '', {}, what), make('dd', '', {}, how));
  const head = make('div', 'ns-read-head');
  if (value.image) head.append(make('img', '', { src: value.image, alt: 'what was read' }));
  head.append(make('strong', '', {}, value.title));
  root.replaceChildren(head, list, ...value.left.map(line => make('p', 'ns-read-left', {}, line)));
}
