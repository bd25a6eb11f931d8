// @ts-check
// A page is ready when its visitor has arrived: what is told before may change the address that they arrive with.

/** @param {() => void} then what is done once it is, at once if it is */
export function whenReady(then) {
  const ready = () => document.body.classList.contains('ns-ready');
  if (ready()) return then();
  const seen = new MutationObserver(() => {
    if (!ready()) return;
    seen.disconnect();
    then();
  });
  seen.observe(document.body, { attributeFilter: ['class'] });
}
