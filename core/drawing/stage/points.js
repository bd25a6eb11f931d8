// @ts-check
// Points, and paths: a trail shows a pixel from the frame in which a point first came by, so that any frame costs the
// same.

import { Buffer, bytes, word } from './buffer.js';
import { spots } from './codes.js';
import { splat } from './dots.js';
import { short } from './format.js';
import { dot, marks, trailStrength, trailWidth } from './marks.js';

// A picture in a little of the captions' colour.
function faint({ shape: [height, width], codes }, look) {
  const buffer = new Buffer(), colour = word(bytes(look.colours.sub), 0);
  buffer.size(width, height);
  codes.forEach((code, i) => { buffer.words[i] = colour | (Math.round(marks.ink.map * code) << 24); });
  buffer.put();
  return buffer;
}

export class Points {
  buffer = new Buffer();
  spots = new Float32Array(0);
  mapped = ''; // what the map was drawn for
  map = null;
  ground = ''; // what the backdrop was drawn for
  under = null;
  trail = ''; // what the trails were drawn for
  drawn = 0; // and how many frames of them
  last = new Float32Array(0);
  birth = new Uint16Array(0);
  cover = new Uint8Array(0);

  paint(context, size, panel, k, look) {
    const { buffer } = this, count = panel.shape[0], rgb = bytes(look.colours[panel.palette]);
    buffer.size(size, size);
    buffer.words.fill(0);
    this.backdrop(context, size, panel, look);
    if (panel.kind === 'paths') this.trails(size, panel, k, word(rgb, 0), look);
    if (this.spots.length !== 2 * count) this.spots = new Float32Array(2 * count);
    spots(panel.at(k), panel, size, this.spots);
    const { radius, opacity } = dot(panel.kind, count, size, look.scale);
    splat(buffer, this.spots, count, size, radius, rgb, opacity);
    buffer.put();
    context.drawImage(buffer.canvas, 0, 0);
    if (look.marked !== null && look.marked < count) this.ring(context, look, radius);
  }

  // What lies behind the marks and stands still: a map, and dots.
  backdrop(context, size, panel, look) {
    if (panel.map) {
      const name = [look.theme, panel.map.codes.byteOffset].join();
      if (this.mapped !== name) Object.assign(this, { mapped: name, map: faint(panel.map, look) });
      const [low, high] = panel.range, [from, to] = panel.home, gain = size / (high - low);
      context.imageSmoothingEnabled = true;
      const across = (to - from) * gain;
      context.drawImage(this.map.canvas, (from - low) * gain, (high - to) * gain, across, across);
    }
    if (!panel.backdrop) return;
    const name = [size, panel.range, look.theme, panel.version].join();
    if (this.ground !== name) {
      this.ground = name;
      this.under = new Buffer();
      this.under.size(size, size);
      const { codes } = panel.backdrop, at = new Float32Array(codes.length);
      spots(panel.backdrop, panel, size, at);
      const { radius, opacity } = dot('backdrop', 0, size, look.scale);
      const bg = bytes(look.colours.bg);
      const colour = bytes(look.colours.sub).map((v, i) => bg[i] + marks.ink.backdrop * (v - bg[i]));
      splat(this.under, at, at.length / 2, size, radius, colour, opacity);
      this.under.put();
    }
    context.drawImage(this.under.canvas, 0, 0);
  }

  trails(size, panel, k, colour, look) {
    const name = [size, panel.range].join();
    if (this.trail !== name) {
      Object.assign(this, { trail: name, drawn: 0, last: new Float32Array(2 * panel.shape[0]).fill(NaN) });
      this.birth = new Uint16Array(size * size).fill(65535);
      this.cover = new Uint8Array(size * size);
    }
    const next = new Float32Array(this.last.length);
    for (; this.drawn < panel.frames.length && panel.frames[this.drawn]; this.drawn++) {
      spots(panel.frames[this.drawn], panel, size, next);
      for (let n = 0; n < next.length; n += 2) {
        this.stroke(this.last[n], this.last[n + 1], next[n], next[n + 1], size, this.drawn);
      }
      this.last.set(next);
    }
    const width = trailWidth(panel.shape[0], size / look.scale);
    const faded = new Float32Array(k + 1); // by the frame in which a pixel was first crossed
    for (let born = 0; born <= k; born++) faded[born] = width * trailStrength(k - born, look.frames);
    const { words } = this.buffer;
    for (let i = 0; i < words.length; i++) {
      if (this.birth[i] <= k) words[i] = colour | (Math.min(255, this.cover[i] * faded[this.birth[i]]) << 24);
    }
  }

  stroke(x0, y0, x1, y1, size, frame) {
    const length = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
    if (!(length < 4 * size)) return; // also what is not a number
    const steps = Math.max(1, Math.ceil(length));
    for (let s = 0; s < steps; s++) {
      const x = x0 + (x1 - x0) * s / steps - 0.5, y = y0 + (y1 - y0) * s / steps - 0.5;
      const left = Math.floor(x), top = Math.floor(y), fx = x - left, fy = y - top;
      for (let c = 0; c < 4; c++) {
        const i = left + (c & 1), j = top + (c >> 1);
        const cover = 255 * ((c & 1) ? fx : 1 - fx) * ((c >> 1) ? fy : 1 - fy);
        if (cover < 8 || i < 0 || j < 0 || i >= size || j >= size) continue;
        const to = j * size + i;
        if (this.cover[to] < cover) this.cover[to] = cover;
        if (this.birth[to] > frame) this.birth[to] = frame;
      }
    }
  }

  ring(context, look, radius) {
    const x = this.spots[2 * look.marked], y = this.spots[2 * look.marked + 1];
    context.beginPath();
    context.arc(x, y, radius + 3.5 * look.scale, 0, 2 * Math.PI);
    context.lineWidth = 1.5 * look.scale;
    context.strokeStyle = look.colours.ink;
    context.stroke();
  }

  /** How many can be picked. */
  count(panel) { return panel.shape[0]; }

  /** Where one is on the canvas. */
  spot(index, size, panel, k) {
    const at = spots(panel.at(k), panel, size, new Float32Array(2 * panel.shape[0]));
    return [at[2 * index], at[2 * index + 1]];
  }

  probe(x, y, size, panel, k, look) {
    const count = panel.shape[0], at = spots(panel.at(k), panel, size, new Float32Array(2 * count));
    let best = 14 * look.scale, index = null;
    for (let n = 0; n < count; n++) {
      const far = Math.hypot(at[2 * n] - x, at[2 * n + 1] - y);
      if (far < best) [best, index] = [far, n];
    }
    if (index === null) return null;
    const [low, high] = panel.range;
    const value = axis => low + (axis ? size - at[2 * index + 1] : at[2 * index]) / size * (high - low);
    return { marked: index, text: `#${index}  ${short(value(0))} ${short(value(1))}` };
  }
}
