// The page around the stages: the address, the tab in front, the tooltips, the data picker, light and dark.
(function (N) {
  'use strict';

  // What the address says: the recipe's fields as the server writes them, and what only this page knows.
  const address = { recipe: '', tab: 'denoise', panels: '', frame: '' };

  function write(changes) {
    Object.assign(address, changes);
    const parts = [address.recipe];
    if (address.tab !== 'denoise') parts.push(`tab=${address.tab}`);
    if (address.panels) parts.push(`panels=${address.panels}`);
    if (address.frame) parts.push(`frame=${address.frame}`);
    const theme = new URLSearchParams(location.search).get('__theme');
    if (theme) parts.push(`__theme=${theme}`);
    const query = parts.filter(Boolean).join('&');
    history.replaceState(history.state, '', location.pathname + (query ? `?${query}` : '') + location.hash);
  }

  // Gradio mounts and unmounts as it likes; what we add to its nodes is added again when they come back.
  function decorate(tips) {
    const add = () => {
      for (const [name, text] of Object.entries(tips)) {
        const node = document.getElementById(`field-${name}`);
        if (node && node.title !== text) node.title = text;
      }
    };
    add();
    new MutationObserver(add).observe(document.body, { childList: true, subtree: true });
  }

  function picker(element, { props, watch, trigger }) {
    const root = element.querySelector('.ns-picker');
    const draw = () => {
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

  async function copy(button) {
    const was = button.textContent;
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = 'Copied';
    } catch {
      // No clipboard without https or permission: show the link, selected, to be copied by hand.
      window.prompt('Copy this link', location.href);
    }
    setTimeout(() => { button.textContent = was; }, 1500);
  }

  function front(tab) {
    document.body.dataset.tab = tab;
    if (tab !== address.tab) write({ tab, panels: '', frame: '' });
  }

  // The link has been read: from now on the address follows what is shown.
  function arrived() {
    const asked = new URLSearchParams(location.search);
    document.body.dataset.tab = asked.get('tab') || 'denoise';
    const recipe = [...asked].filter(([name]) => !name.startsWith('__') && !['tab', 'panels', 'frame'].includes(name));
    Object.assign(address, {
      recipe: new URLSearchParams(recipe).toString(), tab: document.body.dataset.tab,
      panels: asked.get('panels') || '', frame: asked.get('frame') || '',
    });
  }

  // Gradio gives the id to a frame around the element that the stage lives in.
  function stageOf(id) {
    const frame = document.getElementById(id);
    return frame && [frame, ...frame.querySelectorAll('*')].map(node => node.noisescope).find(Boolean);
  }

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
    if (button.dataset.ns === 'copy') copy(button);
    if (button.dataset.ns === 'recipe') document.body.classList.toggle('ns-open');
  });

  Object.assign(N, { address: write, decorate, picker, front, arrived, seen, stageOf });
  document.addEventListener('DOMContentLoaded', () => { document.body.dataset.tab = new URLSearchParams(location.search).get('tab') || 'denoise'; });
})(window.Noisescope = window.Noisescope || {});
