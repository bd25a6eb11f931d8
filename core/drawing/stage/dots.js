// @ts-check
// Round dots of any radius, splatted by coverage.

import { word } from './buffer.js';

// The coverage of a disc at sixteen sub-pixel positions, so that dots glide instead of hopping.
function discs(radius) {
  const side = Math.ceil(2 * radius) + 2, fine = 6, stamps = [];
  for (let phase = 0; phase < 16; phase++) {
    const cx = side / 2 - 0.5 + (phase & 3) / 4 + 0.125, cy = side / 2 - 0.5 + (phase >> 2) / 4 + 0.125;
    const stamp = new Uint8Array(side * side);
    for (let i = 0; i < side * side; i++) {
      let inside = 0;
      for (let s = 0; s < fine * fine; s++) {
        const dx = i % side + (s % fine + 0.5) / fine - cx;
        const dy = Math.floor(i / side) + (Math.floor(s / fine) + 0.5) / fine - cy;
        if (dx * dx + dy * dy <= radius * radius) inside++;
      }
      stamp[i] = Math.round(255 * inside / (fine * fine));
    }
    stamps.push(stamp);
  }
  return { side, stamps };
}

const kept = new Map();

function stampsOf(radius) {
  if (!kept.has(radius)) kept.set(radius, discs(radius));
  return kept.get(radius);
}

/**
 * Dots on transparent ground: coverage adds up like ink on paper.
 * @param {import('./buffer.js').Buffer} buffer
 * @param {Float32Array} spots x and y in turn; what is no number is not drawn
 */
export function splat(buffer, spots, count, size, radius, rgb, strength) {
  const { words } = buffer, colour = word(rgb, 0);
  const { side, stamps } = stampsOf(Math.max(1, Math.round(4 * radius)) / 4);
  for (let n = 0; n < count; n++) {
    const x = spots[2 * n], y = spots[2 * n + 1];
    if (!(x > -side && y > -side && x < size + side && y < size + side)) continue;
    const left = Math.floor(x - side / 2 + 0.5), top = Math.floor(y - side / 2 + 0.5);
    const fx = Math.floor((x - side / 2 + 0.5 - left) * 4), fy = Math.floor((y - side / 2 + 0.5 - top) * 4);
    const stamp = stamps[fx + 4 * fy];
    for (let j = Math.max(0, -top); j < side && top + j < size; j++) {
      for (let i = Math.max(0, -left); i < side && left + i < size; i++) {
        const cover = stamp[j * side + i] * strength;
        if (cover < 1) continue;
        const to = (top + j) * size + left + i, before = words[to] >>> 24;
        words[to] = colour | ((before + cover * (255 - before) / 255) << 24);
      }
    }
  }
}
