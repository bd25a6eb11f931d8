// @ts-check
// What Gradio's page does that nobody sees and a phone feels is left out, in the files that Gradio keeps it in.

/** @typedef {Record<string, any>} Exports of a file */

/**
 * How an event stands the page tells to all that the event reads, once it is over, and again with every message of any
 * event ever after: some forty controls of the recipe, each of which is copied whole first. Only what streams into an
 * event, as a microphone does, has any use for that, and nothing here does.
 * @param {Exports} exported
 */
export function tellNoInputs(exported) {
  const statuses = Object.values(exported).find(({ prototype }) => prototype?.resolve_args).prototype;
  const resolved = statuses.resolve_args;
  statuses.resolve_args = function (/** @type {object} */ status) {
    return resolved.call(this, { ...status, stream_state: null });
  };
}

/**
 * The tree of components is made, put up, and at once made and put up again from the same.
 * @param {Exports} exported
 */
export function makeOnce({ AppTree: { prototype: tree } }) {
  const { reload } = tree, made = new WeakSet();
  tree.reload = function (/** @type {any[]} */ ...all) {
    const first = !made.has(this);
    made.add(this);
    if (!first || this.root !== this.root_untracked) reload.apply(this, all);
  };
}

/** What Svelte draws at every frame until it has come to rest. */
let moving = new Set();

/** @param {Exports} exported by Svelte */
export function knowWhatMoves(exported) {
  moving = Object.values(exported).find(value => value?.tasks instanceof Set).tasks;
}

/**
 * An arrow swings while the page opens. It is drawn on for as long as the page is there, though it is taken away when
 * the components are put up.
 * @param {Exports} exported
 */
export function stopTheArrow({ AppTree: { prototype: tree } }) {
  const { reload } = tree;
  tree.reload = function (/** @type {any[]} */ ...all) {
    tree.reload = reload;
    moving.clear();
    reload.apply(this, all);
  };
}

/**
 * A clock beside the arrow goes on as well. It takes what asks the browser for frames, once, as its file is read, which
 * ends with the function that is returned; it is given seconds. So are the clocks of events, which are hidden here.
 */
export function slowClocks() {
  const frames = window.requestAnimationFrame;
  /** @param {FrameRequestCallback} paint */
  const taken = paint => (window.requestAnimationFrame === taken ? frames.call(window, paint)
    : setTimeout(() => frames.call(window, paint), 1000));
  window.requestAnimationFrame = taken;
  return () => { if (window.requestAnimationFrame === taken) window.requestAnimationFrame = frames; };
}

export function spare() {
  const isRead = slowClocks();
  /** By the beginnings of the files' names, which end with their versions. */
  const spared = new Map([
    ['index', [knowWhatMoves]], ['statustracker', [isRead, tellNoInputs]], ['core', [makeOnce, stopTheArrow]],
  ]);
  const fetched = new PerformanceObserver((list) => {
    for (const { name } of list.getEntries()) {
      const file = /\/assets\/(\w+)-[\w-]+\.js$/.exec(new URL(name).pathname)?.[1];
      const changes = spared.get(file);
      if (!changes) continue;
      spared.delete(file);
      import(name).then(exported => changes.forEach(change => change(exported)));
    }
    if (!spared.size) fetched.disconnect();
  });
  fetched.observe({ type: 'resource', buffered: true });
}
