// @ts-check
// Words: the mini markup `_{…}` `^{…}`. Text reaches the page through text nodes only, so nothing a visitor wrote is
// ever read as HTML.

// "x_{t}" → [{text: "x", level: 0}, {text: "t", level: -1}]
export function runs(text) {
  const found = [], levels = [0];
  let word = '';
  const close = () => { if (word) found.push({ text: word, level: levels[levels.length - 1] }); word = ''; };
  for (let i = 0; i < text.length; i++) {
    if ((text[i] === '_' || text[i] === '^') && text[i + 1] === '{') {
      close();
      levels.push(text[i] === '_' ? -1 : 1);
      i++;
    } else if (text[i] === '}' && levels.length > 1) {
      close();
      levels.pop();
    } else word += text[i];
  }
  close();
  return found;
}

// Text nodes; a Greek letter with a hat stands in a span of its own, for the sake of its font.
function letters(text) {
  return text.split(/(\p{Script=Greek}\p{M}+)/u).filter(Boolean).map(part => {
    if (!/\p{M}/u.test(part) || !/^\p{Script=Greek}/u.test(part)) return document.createTextNode(part);
    const letter = document.createElement('span');
    letter.className = 'ns-hat';
    letter.textContent = part;
    return letter;
  });
}

/** What a text is on the page. */
export const nodes = text => runs(text).flatMap(({ text: word, level }) => {
  if (level === 0) return letters(word);
  const part = document.createElement(level < 0 ? 'sub' : 'sup');
  part.append(...letters(word));
  return [part];
});

const written = new WeakMap();

export function rich(node, text) {
  if (written.get(node) === text) return;
  written.set(node, text);
  node.replaceChildren(...nodes(text));
}

export const plain = text => runs(text).map(r => (r.level < 0 ? '_' : r.level > 0 ? '^' : '') + r.text).join('');
