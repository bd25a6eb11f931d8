// @ts-check
// Numbers in words: Python's format strings for floats.

function exponent(text) { // JavaScript writes e-7, Python e-07
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

// toFixed and toExponential, with ties to the even digit as in Python; JavaScript takes the larger one.
function rounded(size, digits, write) {
  const [near, power] = size[write](digits).split('e');
  const exact = size[write](digits + 30).split('e')[0];
  const below = exact.slice(0, -30).replace(/\.$/, '');
  const text = /^50*$/.test(exact.slice(-30)) && /[02468]$/.test(below) ? below : near;
  return power === undefined ? text : exponent(`${text}e${power}`);
}

const trimmed = digits => (digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits);

function general(value, digits) {
  const precision = Math.max(digits, 1);
  const [mantissa, power] = rounded(value, precision - 1, 'toExponential').split('e');
  if (power < -4 || power >= precision) return `${trimmed(mantissa)}e${power}`;
  return trimmed(rounded(value, precision - 1 - power, 'toFixed'));
}

// As Python's repr: the shortest digits that mean this float
function shortest(value) {
  const power = Math.floor(Math.log10(value));
  if (value !== 0 && (power < -4 || power >= 16)) return exponent(value.toExponential());
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const SPEC = /^([<>^])?([+\- ])?(0)?(\d*)([,_])?(?:\.(\d+))?([feg%])?$/;

// A float as Python's format() writes it for f, e, g and %; what is no number is a dash.
export function format(value, spec) {
  const [, align, sign, zero, width, comma, dot, type] = SPEC.exec(spec || '') || [];
  let text;
  if (Number.isNaN(value) || value === undefined || value === null) text = '–';
  else if (!Number.isFinite(value)) text = (value < 0 ? '-' : sign === '+' ? '+' : '') + '∞';
  else {
    const size = Math.abs(value);
    const digits = dot === undefined ? 6 : Number(dot);
    if (type === 'f') text = rounded(size, digits, 'toFixed');
    else if (type === '%') text = rounded(size * 100, digits, 'toFixed') + '%';
    else if (type === 'e') text = rounded(size, digits, 'toExponential');
    else if (type === 'g') text = general(size, digits);
    else text = shortest(size);
    if (comma) text = text.replace(/^\d+/, whole => whole.replace(/\B(?=(\d{3})+$)/g, comma));
    const lead = value < 0 || Object.is(value, -0) ? '-' : sign && sign !== '-' ? sign : '';
    if (zero) text = text.padStart(Number(width || 0) - lead.length, '0');
    text = lead + text;
  }
  if (align === '<') return text.padEnd(Number(width || 0));
  return text.padStart(Number(width || 0));
}

// "t = {t:.3f}" with numbers by name
export function fill(template, lookup) {
  return template.replace(/\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}/g, (all, name, spec) =>
    all === '{{' ? '{' : all === '}}' ? '}' : format(lookup(name), spec));
}

// The name of the first number in a template: what a typed jump means.
export function subject(template) {
  const found = /\{([^{}:]+)(?::[^{}]*)?\}/.exec(template.replace(/\{\{/g, ''));
  return found ? found[1] : null;
}

// A value for a readout: three significant digits, no exponent where it can be avoided.
export function short(value) {
  if (!Number.isFinite(value)) return format(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return exponent(value.toExponential(1)).replace('-', '−');
  const text = value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  return text.replace('-', '−');
}
