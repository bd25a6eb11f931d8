// The page around the stages: the address, the tab in front, the tooltips, the data picker, light and dark.
(function (N) {
  'use strict';

  // What the address says: the recipe's fields as the server writes them, and what only this page knows.
  function read() {
    const asked = new URLSearchParams(location.search);
    return {
      recipe: new URLSearchParams([...asked].filter(([name]) => !/^__|^(tab|panels|frame)$/.test(name))).toString(),
      tab: asked.get('tab') || 'denoise', panels: asked.get('panels') || '', frame: asked.get('frame') || '',
    };
  }
  const address = read();

  N.linked = Boolean(address.recipe || address.panels || address.frame || address.tab !== 'denoise');

  // What a visitor has changed is a step of the history, which Back undoes; how one looks at it is not.
  function write(changes, step = false) {
    Object.assign(address, changes);
    const parts = [address.recipe];
    if (address.tab !== 'denoise') parts.push(`tab=${address.tab}`);
    if (address.panels) parts.push(`panels=${address.panels}`);
    if (address.frame) parts.push(`frame=${address.frame}`);
    const theme = new URLSearchParams(location.search).get('__theme');
    if (theme) parts.push(`__theme=${theme}`);
    const query = parts.filter(Boolean).join('&');
    const url = location.pathname + (query ? `?${query}` : '') + location.hash;
    if (url === location.pathname + location.search + location.hash) return;
    history[step ? 'pushState' : 'replaceState'](history.state, '', url);
    N.outer();
  }

  // Changes of this page, the last one that is answered, and the one that the browser's Back or Forward has been last.
  let changes = 0, answered = 0, walked = 0;

  window.addEventListener('popstate', () => {
    walked = changes + 1;
    Object.assign(address, read());
    N.outer();
    N.restore(location.search);
  });

  // What the server says of the recipe: how it stands in the address, and what there is for it.
  function told(value) {
    if (!value || value.number < answered) return;
    answered = value.number;
    // An answer to what was before a Back would put its own address over that of the Back.
    if (answered >= walked) write({ recipe: value.query }, value.number > 0);
    N.recipe = value.recipe;
    N.compare();
    document.body.dataset.has = value.has.join(' ');
  }

  // Gradio mounts and unmounts as it likes; what we add to its nodes is added again when they come back.
  // Until the recipe of the address stands in the sidebar nothing there can be turned: it would be overwritten.
  function decorate(tips) {
    const add = () => {
      const waits = !document.body.classList.contains('ns-ready');
      for (const node of document.querySelectorAll('#recipe, #tabs > .tab-wrapper')) if (node.inert !== waits) node.inert = waits;
      for (const [name, text] of Object.entries(tips)) {
        const node = document.getElementById(name);
        if (node && node.title !== text) node.title = text;
      }
    };
    add();
    new MutationObserver(add).observe(document.body, { childList: true, subtree: true });
    new MutationObserver(add).observe(document.body, { attributeFilter: ['class'] }); // ready
  }

  function picker(element, { props, watch, trigger }) {
    const root = element.querySelector('.ns-picker');
    const draw = () => {
      const was = root.scrollTop;
      root.replaceChildren(...props.items.map(({ name, title, image }) => {
        const on = name === props.value;
        const button = N.make('button', 'ns-pick', { type: 'button', role: 'radio', title, 'aria-label': title, 'aria-checked': on });
        button.append(N.make('img', '', { src: image, alt: '' }));
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

  function theme() {
    const dark = document.body.classList.toggle('dark');
    const url = new URL(location.href);
    url.searchParams.set('__theme', dark ? 'dark' : 'light');
    history.replaceState(history.state, '', url);
  }

  function front(tab) {
    document.body.dataset.tab = tab;
    if (tab !== address.tab) write({ tab, panels: '', frame: '' }, true);
  }

  // Which tab is in front is read off the page itself: Gradio's own event waits for whatever else is under way.
  function tabs(titles) {
    document.body.dataset.tab = address.tab;
    const names = Object.fromEntries(Object.entries(titles).map(([name, title]) => [title, name]));
    new MutationObserver(changes => {
      for (const { target } of changes) {
        if (target.getAttribute('aria-selected') === 'true' && names[target.textContent.trim()]) front(names[target.textContent.trim()]);
      }
    }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['aria-selected'] });
  }

  // Gradio gives the id to a frame around the element that the stage lives in.
  function stageOf(id) {
    const frame = document.getElementById(id);
    return frame && [frame, ...frame.querySelectorAll('*')].map(node => node.noisescope).find(Boolean);
  }

  // A film is there: panels that the address asks of it and it does not have are not asked for any more.
  function known(stage, keys) {
    const asked = address.panels.split(',');
    if (!address.panels || stage !== stageOf(`stage-${address.tab}`) || asked.every(key => keys.includes(key))) return;
    write({ panels: asked.filter(key => keys.includes(key)).join(',') });
  }

  // Gradio's sliders tell when a pointer lets go of them; keys, and Enter in the number beside one, count as well.
  let keys = false;
  document.addEventListener('keydown', () => { keys = true; }, true);
  document.addEventListener('pointerdown', () => { keys = false; }, true);
  document.addEventListener('change', ({ target }) => {
    const row = keys && target.closest && target.closest('#recipe .ns-row');
    if (row && row.querySelector('input[type=range]')) target.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }));
  });

  // A stage's playhead, or its chips, have come to rest.
  function seen(id, what) {
    const stage = stageOf(id);
    if (!stage) return;
    write(what === 'frame' ? { frame: String(stage.frame) } : { panels: stage.chosen.join(',') });
  }

  document.addEventListener('click', event => {
    const button = event.target.closest('[data-ns]');
    if (!button) return;
    if (button.dataset.ns === 'theme') theme();
    if (button.dataset.ns === 'copy') N.copy(button);
    if (button.dataset.ns === 'recipe') document.body.classList.toggle('ns-open');
  });

  Object.assign(N, { told, next: () => [++changes, answered], decorate, picker, tabs, seen, known, stageOf });
})(window.Noisescope = window.Noisescope || {});
