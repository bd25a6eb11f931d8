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

/** By the beginnings of the files' names, which end with their versions. */
const SPARED = new Map([['statustracker', tellNoInputs], ['core', makeOnce]]);

export function spare() {
  const fetched = new PerformanceObserver((list) => {
    for (const { name } of list.getEntries()) {
      const file = /\/assets\/(\w+)-[\w-]+\.js$/.exec(new URL(name).pathname)?.[1];
      const change = SPARED.get(file);
      if (!change) continue;
      SPARED.delete(file);
      import(name).then(change);
    }
    if (!SPARED.size) fetched.disconnect();
  });
  fetched.observe({ type: 'resource', buffered: true });
}
