// @ts-check
// Images and heat: codes through a table into a strip at native size, then each picture scaled to its place.

import { Buffer } from './buffer.js';
import { lookup } from './codes.js';
import { short } from './format.js';
import { marks } from './marks.js';

export class Pixels {
  buffer = new Buffer();
  name = ''; // what the table of colours was made for
  colours = { words: new Uint32Array(256), levels: new Uint8Array(256) };

  grid(panel, sample) {
    const [count, height, width] = panel.kind === 'heat' ? [1, ...panel.shape] : panel.shape;
    const one = sample !== null && sample < count, shown = one ? 1 : count;
    const columns = Math.ceil(Math.sqrt(shown));
    return { count, height, width, columns, rows: Math.ceil(shown / columns), first: one ? sample : 0, shown };
  }

  // Where the pictures stand on the canvas: as large as fits, in the middle, a gutter apart.
  place(grid, size, gutter) {
    const across = (size - (grid.columns - 1) * gutter) / (grid.columns * grid.width);
    const scale = Math.min(across, (size - (grid.rows - 1) * gutter) / (grid.rows * grid.height));
    const stepX = grid.width * scale + gutter, stepY = grid.height * scale + gutter;
    const left = (size + gutter - grid.columns * stepX) / 2, top = (size + gutter - grid.rows * stepY) / 2;
    return { scale, stepX, stepY, left, top };
  }

  table(frame, panel, look) {
    const name = [frame.range, panel.range, panel.palette, look.theme].join();
    if (this.name !== name) Object.assign(this, { name, colours: lookup(frame, panel, look.tables[panel.palette]) });
    return this.colours;
  }

  paint(context, size, panel, k, look) {
    const frame = panel.at(k), grid = this.grid(panel, look.sample), { buffer } = this;
    const { words, levels } = this.table(frame, panel, look);
    buffer.size(grid.width, grid.height * grid.shown);
    const colour = panel.kind === 'images' && panel.shape[3] === 3, area = grid.width * grid.height;
    let from = grid.first * area * (colour ? 3 : 1);
    for (let to = 0; to < buffer.words.length; to++) {
      if (colour) {
        const r = frame.codes[from++], g = frame.codes[from++], b = frame.codes[from++];
        buffer.words[to] = r && g && b && ((255 << 24) | (levels[b] << 16) | (levels[g] << 8) | levels[r]);
      } else buffer.words[to] = words[frame.codes[from++]];
    }
    buffer.put();
    context.imageSmoothingEnabled = false;
    const at = this.place(grid, size, this.gutter(look));
    for (let n = 0; n < grid.shown; n++) {
      const x = at.left + (n % grid.columns) * at.stepX, y = at.top + Math.floor(n / grid.columns) * at.stepY;
      const [x0, y0] = [Math.round(x), Math.round(y)];
      const w = Math.round(x + grid.width * at.scale) - x0, h = Math.round(y + grid.height * at.scale) - y0;
      context.drawImage(buffer.canvas, 0, n * grid.height, grid.width, grid.height, x0, y0, w, h);
      if (n === look.marked && grid.shown > 1 && panel.kind === 'images') this.frame(context, look, x0, y0, w, h);
    }
  }

  // Around the sample that is pointed at, here or in another panel.
  frame(context, look, x, y, width, height) {
    const line = 2 * look.scale;
    context.lineWidth = line;
    context.strokeStyle = look.colours.accent;
    context.strokeRect(x + line / 2, y + line / 2, width - line, height - line);
  }

  gutter(look) { return Math.round(marks.gutter * look.scale); }

  /** How many can be picked. */
  count(panel, look) { return this.grid(panel, look.sample).shown; }

  /** The middle of one on the canvas. */
  spot(index, size, panel, _, look) {
    const grid = this.grid(panel, look.sample), at = this.place(grid, size, this.gutter(look));
    return [at.left + (index % grid.columns) * at.stepX + grid.width * at.scale / 2,
      at.top + Math.floor(index / grid.columns) * at.stepY + grid.height * at.scale / 2];
  }

  // The pixel under a point of the canvas: which sample, and its value in words.
  probe(x, y, size, panel, k, look) {
    const grid = this.grid(panel, look.sample), at = this.place(grid, size, this.gutter(look));
    const column = Math.floor((x - at.left) / at.stepX), row = Math.floor((y - at.top) / at.stepY);
    const cell = row * grid.columns + column;
    if (column < 0 || row < 0 || column >= grid.columns || cell >= grid.shown) return null;
    const i = Math.min(grid.height - 1, Math.floor((y - at.top - row * at.stepY) / at.scale));
    const j = Math.min(grid.width - 1, Math.floor((x - at.left - column * at.stepX) / at.scale));
    const frame = panel.at(k), sample = grid.first + cell;
    const channels = panel.kind === 'images' ? panel.shape[3] : 1;
    const start = ((sample * grid.height + i) * grid.width + j) * channels;
    const values = [...frame.codes.subarray(start, start + channels)].map(code =>
      code === 0 ? NaN : frame.range[0] + (code - 1) / 254 * (frame.range[1] - frame.range[0]));
    const found = { sample, text: `(${i}, ${j})  ${values.map(short).join(' ')}` };
    return panel.kind === 'heat' ? found : { ...found, marked: sample, text: `#${sample} ${found.text}` };
  }
}
