// @ts-check
// What codes mean: as colours, and as places on a canvas. The scales are those of `pack.py`.

import { word } from './buffer.js';

export const NONE = -32768;
export const VIEW = 8192;
export const CELL = 4096;

// Code 1…255 of a frame's own range → colour in the panel's range; code 0 is not a number and stays clear.
export function lookup(frame, panel, table) {
  const words = new Uint32Array(256), levels = new Uint8Array(256);
  const [lo, hi] = frame.range, [low, high] = panel.range;
  for (let code = 1; code < 256; code++) {
    const value = lo + (code - 1) / 254 * (hi - lo);
    levels[code] = Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
    words[code] = word(table[levels[code]], 255);
  }
  return { words, levels };
}

// Positions of codes on a canvas of that size, y upwards; not a number stays NaN and is not drawn.
export function spots(frame, panel, size, out) {
  const [lo, hi] = frame.range, [low, high] = panel.range;
  const gain = (hi - lo) / (2 * VIEW) / (high - low) * size;
  const shift = ((lo + hi) / 2 - low) / (high - low) * size;
  for (let i = 0; i < frame.codes.length; i++) {
    const at = frame.codes[i] === NONE ? NaN : frame.codes[i] * gain + shift;
    out[i] = i % 2 ? size - at : at;
  }
  return out;
}

// How many of a frame's points the panel does not show: outside its view, no number, or so far out that the code is
// only the nearest that there is.
export function outside(frame, panel) {
  const [lo, hi] = frame.range, gain = (hi - lo) / (2 * VIEW), middle = (lo + hi) / 2;
  const least = (panel.range[0] - middle) / gain - 0.5, most = (panel.range[1] - middle) / gain + 0.5;
  let count = 0;
  for (let i = 0; i < frame.codes.length; i += 2) {
    const far = code => code < least || code > most || Math.abs(code) >= -NONE - 1;
    if (far(frame.codes[i]) || far(frame.codes[i + 1])) count++;
  }
  return count;
}

// The range in which all points of all frames are seen, as far as codes tell: the panel's own with its middle kept.
export function around(panel) {
  const [low, high] = panel.home, middle = (low + high) / 2;
  let reach = (high - low) / 2;
  for (const frame of panel.frames) {
    if (!frame) continue;
    const [lo, hi] = frame.range, gain = (hi - lo) / (2 * VIEW), shift = (lo + hi) / 2 - middle;
    for (const code of frame.codes) if (code !== NONE) reach = Math.max(reach, 1.02 * Math.abs(code * gain + shift));
  }
  return [middle - reach, middle + reach];
}
