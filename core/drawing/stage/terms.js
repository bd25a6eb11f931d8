// @ts-check
// The terms of the glossary, and where they stand in a text.

import known from '../../glossary.json' with { type: 'json' };

/**
 * @typedef {{symbol: string, name: string, sentence: string, formula?: string, spelled?: string[], inner?: string[]}}
 *   Term as `glossary.py` says
 */
/** @type {Record<string, Term>} */
export const glossary = known;

const spellings = [false, true].map(equation => {
  /** @type {Map<string, string>} */
  const keys = new Map();
  for (const [key, term] of Object.entries(glossary)) {
    for (const text of [...(term.spelled || []), ...(equation ? term.inner || [] : [])]) keys.set(text, key);
  }
  // A letter in the midst of a word, below another one, or with a hat of its own is none of these. The classes stand
  // once, not with each spelling: every \p{…} is hundreds of ranges, and two hundred of them took a third of a second.
  const longestFirst = [...keys.keys()].sort((a, b) => b.length - a.length);
  const any = texts => texts.map(text => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('|') || '(?!)';
  const words = any(longestFirst.filter(text => /^\p{L}/u.test(text)));
  const signs = any(longestFirst.filter(text => !/^\p{L}/u.test(text)));
  const inside = '(?<=\\p{L})\\p{L}|\\p{M}|_\\{';
  return { keys, pattern: new RegExp(`(?<![_^]\\{)(?:(?<!\\p{L})(?:${words})|(?:${signs}))(?!${inside})`, 'gu') };
});

/**
 * The terms in a text: [begin, end, key] of each, the longest spelling first.
 * @param {string} text
 * @returns {[number, number, string][]}
 */
export function found(text, equation = false) {
  const { keys, pattern } = spellings[Number(equation)];
  return [...text.matchAll(pattern)].map(match => [match.index, match.index + match[0].length, keys.get(match[0])]);
}
