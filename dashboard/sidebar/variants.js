// @ts-check
// "The same noise, but": a row for each of the runs B, C and D, with what it changes, and to what.

import { make } from '../../core/drawing/stage/dom.js';

const OFF = '', TEXT = 'text'; // a run that is left out; a change that is written as in a link

// "steps:10" → {name: "steps", value: "10"}; several at once, and what no row can show, stay text
function read(text, fields) {
  const [body, step] = text.split('@'), [name, ...value] = body.split(':');
  if (!text) return { name: OFF, value: '', step: '' };
  if (body.includes('+') || !fields.some(field => field.name === name)) return { name: TEXT, value: text, step: '' };
  return { name, value: value.join(':'), step: step || '' };
}

function write({ name, value, step }) {
  if (name === OFF || !value.trim()) return '';
  return name === TEXT ? value.trim() : `${name}:${value.trim()}${step ? `@${step}` : ''}`;
}

function select(label, options, value) {
  const node = make('select', '', { 'aria-label': label });
  for (const { value: is, label: words } of options) node.append(make('option', '', { value: is }, words));
  node.value = value;
  return node;
}

export function variants(element, { props, watch, told }) {
  const root = element.querySelector('.ns-variants'), { fields, letters } = props;
  let rows = [], shown = null;

  function tell() {
    const text = rows.map(write).join(',').replace(/,+$/, '');
    if (text === shown) return;
    props.value = shown = text;
    told();
  }

  // What it is changed to: one of a few names, or a number to be typed.
  function target(row, letter) {
    const field = fields.find(({ name }) => name === row.name);
    const label = `what ${letter} changes it to`;
    const known = field && field.choices && field.choices.some(({ value }) => value === row.value);
    if (known) return select(label, field.choices, row.value);
    const id = `variants-${letter}`;
    const is = { type: 'text', value: row.value, title: row.value, list: id, maxlength: 200 };
    const input = make('input', '', { ...is, 'aria-label': label });
    input.disabled = row.name === OFF;
    input.placeholder = row.name === OFF ? '' : row.name === TEXT ? 'steps:10+eta:1' : 'value';
    const list = make('datalist', '', { id });
    for (const value of (field && field.suggest) || []) list.append(make('option', '', { value }));
    input.append(list);
    return input;
  }

  function draw() {
    root.replaceChildren(...rows.map((row, i) => {
      const letter = letters[i];
      const names = fields.map(field => ({ value: field.name, label: field.label }));
      const offered = [{ value: OFF, label: '–' }, ...names, { value: TEXT, label: 'several' }];
      const what = select(`what ${letter} changes`, offered, row.name);
      const to = target(row, letter);
      what.onchange = () => {
        const field = fields.find(({ name }) => name === what.value);
        Object.assign(row, { name: what.value, value: field ? field.first : '', step: '' });
        draw();
        root.children[i].querySelector('select').focus();
        tell();
      };
      to.onchange = () => { row.value = to.value; tell(); };
      const node = make('div', 'ns-variants-row', { 'data-run': letter }, make('b', '', {}, letter), what, to);
      if (row.step) {
        const about = { 'aria-label': `the step at which ${letter} leaves A`, inputmode: 'numeric' };
        const step = make('input', '', { type: 'text', value: row.step, ...about });
        step.onchange = () => { row.step = step.value.trim(); tell(); };
        node.append(make('span', 'ns-variants-from', {}, 'from step'), step);
      }
      return node;
    }));
  }

  function load() {
    if (props.value === shown) return;
    shown = props.value || '';
    const texts = shown.split(',');
    rows = [...letters].map((_, i) => read(texts[i] || '', fields));
    draw();
  }
  watch('value', load);
  load();
}
