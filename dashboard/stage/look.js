// What theme and screen ask for: colours, tables and the density of pixels. One watcher tells all who draw.
(function (N) {
  'use strict';

  const listeners = new Set();

  function look() {
    const theme = document.body.classList.contains('dark') ? 'dark' : 'light';
    return { theme, tables: N.tables[theme], colours: N.tables[theme].tokens, scale: window.devicePixelRatio || 1 };
  }

  // Call `redraw` when the theme changes; returns how to stop.
  function onTheme(redraw) {
    if (!onTheme.watcher) {
      let theme = look().theme;
      onTheme.watcher = new MutationObserver(() => {
        if (theme === look().theme) return;
        theme = look().theme;
        listeners.forEach(listener => listener());
      });
      onTheme.watcher.observe(document.body, { attributes: true, attributeFilter: ['class'] });
    }
    listeners.add(redraw);
    return () => listeners.delete(redraw);
  }

  // Give a canvas as many pixels as its place on the screen has; true if that changed.
  function fit(canvas) {
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * scale));
    const height = Math.max(1, Math.round(canvas.clientHeight * scale));
    if (canvas.width === width && canvas.height === height) return false;
    Object.assign(canvas, { width, height });
    return true;
  }

  // An element: make('button', 'ns-chip', {type: 'button'}, children…)
  function make(tag, className = '', attributes = {}, ...children) {
    const node = document.createElement(tag);
    node.className = className;
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    node.append(...children);
    return node;
  }

  const svg = path => {
    const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    icon.setAttribute('viewBox', '0 0 16 16');
    icon.setAttribute('aria-hidden', 'true');
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    shape.setAttribute('d', path);
    icon.append(shape);
    return icon;
  };

  Object.assign(N, { look, onTheme, fit, make, svg });
})(window.Noisescope = window.Noisescope || {});
