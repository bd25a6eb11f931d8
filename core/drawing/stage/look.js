// @ts-check
// What theme and screen ask for: colours, tables and the density of pixels. One watcher tells all who draw.

const listeners = new Set();
let watcher = null, tables = {};

/** Tables and tokens of both themes, as `palettes.py` makes them: before anything is drawn. */
export function dress(themes) { tables = themes; }

export function lookNow() {
  const theme = document.body.classList.contains('dark') ? 'dark' : 'light';
  return { theme, tables: tables[theme], colours: tables[theme].tokens, scale: window.devicePixelRatio || 1 };
}

/** Call `redraw` when the theme changes; returns how to stop. */
export function onTheme(redraw) {
  if (!watcher) {
    let theme = lookNow().theme;
    watcher = new MutationObserver(() => {
      if (theme === lookNow().theme) return;
      theme = lookNow().theme;
      listeners.forEach(listener => listener());
    });
    watcher.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  }
  listeners.add(redraw);
  return () => listeners.delete(redraw);
}
