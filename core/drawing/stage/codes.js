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
