// How a file of one's own was read: a title, a small picture, and one line for each thing that was understood.
(function (N) {
  'use strict';

  N.understood = (element, value) => {
    const root = element.querySelector('.ns-read');
    if (!value) return root.replaceChildren();
    const list = N.make('dl', 'ns-read-list');
    for (const [what, how] of value.rows) list.append(N.make('dt', '', {}, what), N.make('dd', '', {}, how));
    const head = N.make('div', 'ns-read-head');
    if (value.image) head.append(N.make('img', '', { src: value.image, alt: 'what was read' }));
    head.append(N.make('strong', '', {}, value.title));
    root.replaceChildren(head, list, ...value.left.map(line => N.make('p', 'ns-read-left', {}, line)));
  };
})(window.Noisescope = window.Noisescope || {});
