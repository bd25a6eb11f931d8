// @ts-check
// With every message of an event Gradio copies all that the controls of the recipe hold, each value by itself, through
// `structuredClone`: tens of thousands of numbers, words and flags for one change of the recipe. These are their own
// copies; the browser would write each down and read it again.

const clone = window.structuredClone.bind(window);
const OWN_COPIES = new Set(['bigint', 'boolean', 'number', 'string', 'undefined']);
const NO_COPY = new DOMException('a function has no copy', 'DataCloneError');

window.structuredClone = (...told) => {
  const [value] = told;
  if (told.length === 1 && typeof value === 'function') throw NO_COPY;
  return told.length === 1 && (value === null || OWN_COPIES.has(typeof value)) ? value : clone(...told);
};
