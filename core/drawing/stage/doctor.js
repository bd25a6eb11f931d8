// @ts-check
// What the Doctor says beside a film: the two algorithms line by line, what was measured at each line, and, of a case
// of the museum, the script, in which one points at the line that one suspects before it is told.

import { chartCard } from './chart.js';
import { decode } from './chunk.js';
import { make } from './dom.js';
import { short } from './format.js';
import { rich } from './markup.js';

// A verdict has a shape, a word and a colour, each enough by itself.
const VERDICTS = {
  wrong: ['✕', 'wrong'],
  follows: ['↳', 'follows from another line'],
  unusual: ['!', 'unusual, fine if meant'],
  healthy: ['✓', 'healthy'],
  'not seen': ['○', 'not seen'],
  hidden: ['·', 'not told yet'],
};
const TOLD = [
  ['measured', 'measured'],
  ['expected', 'expected'],
  ['evidence', 'seen in'],
  ['look_for', 'it should read'],
  ['refute', 'what would refute it'],
];

const text = (tag, words, name = '', attributes = {}) => {
  const node = make(tag, name, attributes);
  rich(node, words);
  return node;
};
const button = (words, act, name = 'ns-pill', attributes = {}) => {
  const node = make('button', name, { type: 'button', ...attributes }, words);
  node.onclick = act;
  return node;
};
const list = (tag, items) => make(tag, '', {}, ...items.map(item => text('li', item)));
const card = (title, ...children) =>
  make('section', 'ns-card', {}, make('h3', 'ns-card-title', {}, title), ...children);

export class Doctor {
  found = null; // what is said, as `showing.py` makes it
  charts = [];
  cards = []; // those that are shown
  path = null; // of what was asked for last
  line = null; // the chosen one: of an algorithm, or of the script
  guess = null; // what a visitor of the museum has pointed at
  revealed = false;
  head = make('div', 'ns-verdict', { role: 'status' });
  detail = make('section', 'ns-card ns-detail');
  node = make('section', 'ns-doctor', { 'aria-label': 'what the Doctor found' });

  /**
   * @param {object} world
   * @param {(path: string) => Promise<ArrayBuffer>} world.bring where what is said comes from
   * @param {((field: string, value: string) => void) | null} world.ask hears that another run is wanted; null where
   *   nobody does
   */
  constructor({ bring, ask }) {
    this.bring = bring;
    this.ask = ask;
    this.node.hidden = true;
    this.node.addEventListener('keydown', event => this.key(event));
  }

  // `file` is {path} of what is said beside the film, or nothing.
  async load(file) {
    const path = file ? file.path : null;
    if (path === this.path) return;
    this.path = path;
    if (!path) {
      this.node.hidden = true;
      return;
    }
    try {
      const { findings, charts } = decode(await this.bring(path));
      if (path === this.path) this.show(findings, charts);
    } catch (error) {
      if (path !== this.path) return;
      this.path = null;
      this.node.hidden = false;
      this.node.replaceChildren(
        text('p', `What was found could not be loaded (${error.message}). Examine again.`, 'ns-wrong-words'),
      );
    }
  }

  show(findings, charts) {
    const before = this.found && this.found.case,
      now = findings.case;
    const same = Boolean(before && now && before.source === now.source);
    Object.assign(this, { found: findings, charts });
    if (!same) Object.assign(this, { line: null, guess: null, revealed: !now });
    const lines = findings.algorithm.flatMap(part => part.lines);
    const first = lines.find(line => line.verdict === 'wrong')
      || lines.find(line => line.places.includes('step') && findings.charts.step);
    if (!this.line && this.revealed) this.line = first || null;
    else if (this.line && this.line.code)
      this.line = lines.find(line => line.code === this.line.code) || null;
    this.node.hidden = false;
    this.draw();
  }

  draw() {
    const { found } = this,
      active = /** @type {HTMLElement | null} */ (document.activeElement);
    const focus = active && this.node.contains(active) ? active.dataset.at : '';
    const left = make('div', 'ns-column');
    if (found.case) left.append(this.script());
    left.append(...found.algorithm.map(part => this.algorithm(part)));
    const right = make('div', 'ns-column', {}, this.detail);
    if (found.case && this.revealed) right.prepend(this.answer());
    this.node.replaceChildren(this.head, make('div', 'ns-bench', {}, left, right), this.more());
    this.drawHead();
    this.drawDetail();
    if (focus) this.focus(`[data-at="${focus}"]`);
  }

  /** @param {string} selector */
  focus(selector) {
    const node = /** @type {HTMLElement | null} */ (this.node.querySelector(selector));
    if (node) node.focus({ preventScroll: true });
  }

  verdict(line) {
    return this.revealed ? line.verdict : 'hidden';
  }

  // ---- the sentence on top ----

  drawHead() {
    const { found } = this;
    const title = make('span', 'ns-verdict-title', {}, found.title || '');
    if (this.revealed) {
      const [shape, word] = { wrong: ['✕', 'Wrong'], healthy: ['✓', 'Healthy'], unseen: ['○', 'Not seen'] }[
        found.verdict
      ];
      this.head.dataset.verdict = found.verdict;
      this.head.replaceChildren(
        title,
        make('b', 'ns-badge', {}, `${shape} ${word}`),
        text('span', found.headline.replace(/^Healthy: /, ''), 'ns-headline'),
      );
      if (found.other)
        this.head.append(text('p', `Beside it, ${found.other.title}: ${found.other.headline}`, 'ns-beside'));
      return;
    }
    this.head.dataset.verdict = 'hidden';
    const point = button('This is the line', () => this.point(this.line), 'ns-pill ns-strong', { 'data-at': 'point' });
    point.disabled = !this.line;
    this.head.replaceChildren(
      title,
      make('b', 'ns-badge', {}, '? Which line'),
      text('span', `Symptom: ${found.case.symptom}.`, 'ns-headline'),
      text(
        'p',
        'Look at the samples, the charts and what was measured at each line. Then choose a line of the script or of ' +
          'an algorithm, and say so.',
        'ns-beside',
      ),
      make(
        'div',
        'ns-row-of',
        {},
        point,
        button('Nothing is wrong', () => this.point(null), 'ns-pill', { 'data-at': 'nothing' }),
        button('Tell me', () => this.reveal(), 'ns-pill', { 'data-at': 'tell' }),
      ),
    );
  }

  // ---- the museum ----

  point(line) {
    const { case: known } = this.found;
    const right =
      line === null
        ? !known.place
        : line.number
          ? known.lines.includes(line.number)
          : Boolean(known.place) && line.places.includes(known.place);
    this.guess = { right, what: line === null ? 'nothing' : line.number ? `line ${line.number}` : 'that line' };
    this.reveal();
  }

  reveal() {
    this.revealed = true;
    const wrong = this.found.algorithm.flatMap(part => part.lines);
    this.line =
      wrong.find(line => line.places.includes(this.found.case.place)) ||
      wrong.find(line => line.verdict === 'wrong') ||
      null;
    this.draw();
    this.focus('.ns-answer');
    const fault = /** @type {HTMLElement | null} */ (this.node.querySelector('.ns-fault')),
      script = fault && fault.parentElement;
    if (script) script.scrollTop = fault.offsetTop - script.offsetTop - script.clientHeight / 3;
  }

  answer() {
    const { case: known } = this.found,
      { guess } = this;
    const said = !guess
      ? ''
      : guess.right
        ? 'Right. '
        : known.place
          ? `Not ${guess.what}. `
          : 'No: nothing is wrong here. ';
    const why = known.place ? `${known.title}.` : `This script is sound: ${known.title}.`;
    const box = card('the answer', make('p', 'ns-says', {}, make('b', '', {}, said), why));
    box.classList.add('ns-answer');
    box.tabIndex = -1;
    for (const [old, now] of known.edits) {
      box.append(
        make(
          'pre',
          'ns-diff',
          {},
          make('span', 'ns-was', {}, `− ${now.replace(/\n/g, '\n  ')}`),
          '\n',
          make('span', 'ns-is', {}, `+ ${old.replace(/\n/g, '\n  ')}`),
        ),
      );
    }
    if (known.met) box.append(text('p', `Met in: ${known.met}.`));
    if (known.procedure.length) box.append(make('h4', '', {}, 'How to find it'), list('ol', known.procedure));
    if (!this.ask) return box;
    const row = make('div', 'ns-row-of');
    if (known.place && !this.found.other)
      row.append(
        button('Run it mended beside it', () => this.ask('against', 'fixed'), 'ns-pill ns-strong', {
          'data-at': 'mend',
        }),
      );
    row.append(button('Another surprise', () => this.ask('surprise', ''), 'ns-pill', { 'data-at': 'again' }));
    box.append(row);
    return box;
  }

  script() {
    const { case: known } = this.found,
      copy = button('copy', () => this.copy(copy), 'ns-pill ns-copy');
    const lines = known.source
      .replace(/\n$/, '')
      .split('\n')
      .map((code, i) => {
        const line = { number: i + 1, code, places: [] };
        const told = this.revealed && known.lines.includes(line.number);
        const chosen = this.line && this.line.number === line.number;
        const row = button('', () => this.choose(line), `ns-code${told ? ' ns-fault' : ''}`, {
          'aria-pressed': Boolean(chosen),
          'data-at': `script-${i}`,
          'aria-label': `line ${i + 1}: ${code.trim() || 'empty'}${told ? ', the fault' : ''}`,
        });
        row.append(make('span', 'ns-number', {}, told ? '✕' : String(i + 1)), make('span', 'ns-text', {}, code || ' '));
        return row;
      });
    const box = card(
      'the script, as it runs',
      copy,
      make('div', 'ns-lines ns-script', { role: 'group', 'aria-label': 'lines of the script' }, ...lines),
    );
    return box;
  }

  async copy(node) {
    const { source } = this.found.case;
    try {
      await navigator.clipboard.writeText(source);
      node.textContent = 'copied';
    } catch {
      const range = document.createRange();
      range.selectNodeContents(this.node.querySelector('.ns-script'));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      node.textContent = 'selected: copy by hand';
    }
    setTimeout(() => {
      node.textContent = 'copy';
    }, 1500);
  }

  // ---- the algorithms ----

  algorithm({ title, lines }) {
    const { other } = this.found;
    const rows = lines.map((line, i) => {
      const [shape, word] = VERDICTS[this.verdict(line)];
      const row = button('', () => this.choose(line), 'ns-code', {
        'data-verdict': this.verdict(line),
        'aria-pressed': this.line === line,
        'data-at': `${title[10]}-${i}`,
        title: word,
        'aria-label': `${line.code.trim()}: ${word}`,
      });
      row.append(make('span', 'ns-mark', {}, shape));
      if (other && this.revealed) {
        const theirs = this.worst(line.places.map(place => other.places[place]));
        row.append(
          make(
            'span',
            'ns-mark',
            { 'data-verdict': theirs, title: `${other.title}: ${VERDICTS[theirs][1]}` },
            VERDICTS[theirs][0],
          ),
        );
      }
      row.append(make('span', 'ns-text', {}, line.code));
      return row;
    });
    const box = card(title, make('div', 'ns-lines', { role: 'group', 'aria-label': title }, ...rows));
    if (other && this.revealed) box.append(text('p', `left: this run, right: ${other.title}`, 'ns-legend'));
    return box;
  }

  worst(verdicts) {
    return ['wrong', 'follows', 'unusual', 'healthy', 'not seen'].find(name => verdicts.includes(name)) || 'not seen';
  }

  choose(line) {
    this.line = line;
    for (const row of this.node.querySelectorAll('.ns-code')) row.setAttribute('aria-pressed', 'false');
    const parts = this.found.algorithm,
      at = line.number
        ? `script-${line.number - 1}`
        : parts
            .map(part => [part.title[10], part.lines.indexOf(line)])
            .filter(([, i]) => i >= 0)
            .map(([k, i]) => `${k}-${i}`)[0];
    this.node.querySelector(`[data-at="${at}"]`)?.setAttribute('aria-pressed', 'true');
    if (!this.revealed) this.drawHead();
    this.drawDetail();
    this.detail.scrollIntoView({ block: 'nearest' }); // where one column holds all, it may stand far below
  }

  drawDetail() {
    const { line, found, detail } = this;
    while (this.cards.length) this.cards.pop().remove();
    detail.replaceChildren();
    if (!line || line.number) {
      const words = line
        ? `Line ${line.number} of the script. Is it this one?`
        : 'Choose a line: what was measured there is shown here.';
      detail.append(make('h3', 'ns-card-title', {}, 'measured'), text('p', words));
      if (line) detail.append(make('pre', 'ns-look', {}, line.code.trim()));
      return;
    }
    const verdict = this.verdict(line),
      [shape, word] = VERDICTS[verdict];
    detail.append(
      make('h3', 'ns-card-title', {}, 'measured at this line'),
      make('pre', 'ns-look', {}, line.code.trim()),
    );
    if (this.revealed) {
      detail.append(make('p', 'ns-word', { 'data-verdict': verdict }, `${shape} ${word}`));
      const told = ['causes', 'consequences', 'unusual']
        .flatMap(kind => found[kind])
        .filter(cause => line.places.includes(cause.place));
      detail.append(...told.map(cause => this.cause(cause)));
      if (!told.length)
        detail.append(
          make(
            'dl',
            'ns-told',
            {},
            ...line.places.flatMap(place => [
              make('dt', '', {}, place.replace('_', ' ')),
              make('dd', '', {}, VERDICTS[found.places[place]][1], make('code', '', {}, found.look_for[place])),
            ]),
          ),
        );
    }
    const wanted = [...new Set(line.places.flatMap(place => found.charts[place] || []))];
    const host = make('div', 'ns-line-charts');
    for (const at of wanted) {
      const made = chartCard(null);
      host.append(made.card);
      made.update(this.charts[at], null);
      this.cards.push(made);
    }
    if (!wanted.length && !this.revealed)
      host.append(text('p', 'Nothing that can be drawn was measured at this line.'));
    detail.append(host);
  }

  cause(cause) {
    const rows = TOLD.filter(([name]) => cause[name]).flatMap(([name, words]) => [
      make('dt', '', {}, words),
      make('dd', '', {}, name === 'look_for' ? make('code', '', {}, cause[name]) : cause[name]),
    ]);
    if (cause.chance > 0)
      rows.push(
        make('dt', '', {}, 'by chance'),
        make('dd', '', {}, `with probability ${cause.chance.toExponential(0)}`),
      );
    return make('div', 'ns-cause', {}, text('p', cause.says, 'ns-says'), make('dl', 'ns-told', {}, ...rows));
  }

  // ---- what else there is ----

  more() {
    const { found } = this,
      node = make('div', 'ns-bench ns-rest');
    if (found.halves && found.halves.rows.length > 1) node.append(this.halves(found.halves));
    if (!this.revealed) return node;
    const ranked = found.causes.map((cause, i) => `${i + 1}. ${cause.place.replace('_', ' ')}: ${cause.says}`);
    const parts = [
      ['causes, the likeliest first', ranked],
      ['follows from that', found.consequences.map(c => `${c.place.replace('_', ' ')}: ${c.says}`)],
      ['unusual, fine if meant', found.unusual.map(c => `${c.place.replace('_', ' ')}: ${c.says}`)],
      ['not seen', found.unknown.map(u => `${u.what}: ${u.how}`)],
      ['identified', found.identified],
    ].filter(([, items]) => items.length);
    const box = make('section', 'ns-card ns-lists', {}, make('h3', 'ns-card-title', {}, 'the report'));
    for (const [title, items] of parts) {
      const open = title.startsWith('causes') || title.startsWith('unusual');
      box.append(
        make(
          'details',
          '',
          open ? { open: '' } : {},
          make('summary', '', {}, `${title} (${items.length})`),
          list('ul', items),
        ),
      );
    }
    box.append(text('p', [found.checked, found.chance].filter(Boolean).join('; ') + '.', 'ns-legend'));
    node.append(box);
    return node;
  }

  halves({ rows, says, size }) {
    const most = Math.max(size * 2, ...rows.map(row => Math.min(row.distance ?? Infinity, size * 8)));
    const body = rows.map(({ name, distance, off, far }) => {
      const bar = make('span', 'ns-far', { 'data-verdict': far ? 'wrong' : off ? 'unusual' : 'healthy' });
      bar.style.width = `${Math.min(100, (100 * (distance ?? most)) / most)}%`;
      const words = distance === null ? 'no numbers' : short(distance);
      return make(
        'tr',
        '',
        {},
        make('th', '', { scope: 'row' }, name),
        make('td', 'ns-bar-cell', {}, bar),
        make('td', 'ns-figure', {}, words),
        make('td', '', {}, far ? '✕ far' : off ? '~ near' : '✓ there'),
      );
    });
    return card(
      'which half is broken? samples’ energy distance to the data that training saw',
      make('table', 'ns-halves', {}, make('tbody', '', {}, ...body)),
      text('p', says, 'ns-says'),
      text('p', 'The chips above the stage show these walks beside yours.', 'ns-legend'),
    );
  }

  // Up and down go from line to line; left and right stay the playhead's.
  key(event) {
    const row = event.target.closest && event.target.closest('.ns-code');
    if (!row || (event.key !== 'ArrowDown' && event.key !== 'ArrowUp')) return;
    event.preventDefault();
    event.stopPropagation();
    const rows = /** @type {HTMLElement[]} */ ([...this.node.querySelectorAll('.ns-code')]),
      next = rows[rows.indexOf(row) + (event.key === 'ArrowDown' ? 1 : -1)];
    if (next) next.focus();
  }

  remove() {
    while (this.cards.length) this.cards.pop().remove();
  }
}
