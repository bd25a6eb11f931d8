// Painters: one frame of one panel on a canvas. Pixels are written into ImageData (tables of 256 colours, dots by
// coverage), which costs the same on every machine; only arrows are strokes.
(function (N) {
  'use strict';

  const NONE = -32768, VIEW = 8192, CELL = 4096; // as in pack.py

  const bytes = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
  const word = (rgb, alpha) => ((alpha << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0;

  // A canvas of its own size that is written pixel by pixel.
  class Buffer {
    size(width, height) {
      if (this.width === width && this.height === height) return false;
      Object.assign(this, { width, height, canvas: document.createElement('canvas') });
      Object.assign(this.canvas, { width, height });
      this.context = this.canvas.getContext('2d');
      this.image = this.context.createImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
      return true;
    }

    put() { this.context.putImageData(this.image, 0, 0); }
  }

  // Code 1…255 of a frame's own range → colour in the panel's range; code 0 is not a number and stays clear.
  function lookup(frame, panel, table) {
    const words = new Uint32Array(256), levels = new Uint8Array(256);
    const [lo, hi] = frame.range, [low, high] = panel.range;
    for (let code = 1; code < 256; code++) {
      const value = lo + (code - 1) / 254 * (hi - lo);
      levels[code] = Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
      words[code] = word(table[levels[code]], 255);
    }
    return { words, levels };
  }

  // Images and heat: codes through a table into a strip at native size, then each picture scaled to its place.
  class Pixels {
    constructor() { this.buffer = new Buffer(); }

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

    gutter(look) { return Math.round(look.scale); }

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
      const found = { sample, text: `(${i}, ${j})  ${values.map(N.short).join(' ')}` };
      return panel.kind === 'heat' ? found : { ...found, marked: sample, text: `#${sample} ${found.text}` };
    }
  }

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

  // Dots on transparent ground: coverage adds up like ink on paper.
  function splat(buffer, spots, count, size, radius, rgb, strength) {
    const { words } = buffer, colour = word(rgb, 0);
    const { side, stamps } = discs.cache[radius] || (discs.cache[radius] = discs(radius));
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
  discs.cache = {};

  // A picture in a little of the captions' colour: as much of it as MAP_INK in core/drawing/painters.py.
  function faint({ shape: [height, width], codes }, look) {
    const buffer = new Buffer(), colour = word(bytes(look.colours.sub), 0);
    buffer.size(width, height);
    codes.forEach((code, i) => { buffer.words[i] = colour | (Math.round(0.4 * code) << 24); });
    buffer.put();
    return buffer;
  }

  // Positions of codes on a canvas of that size, y upwards; not a number stays NaN and is not drawn.
  function spots(frame, panel, size, out) {
    const [lo, hi] = frame.range, [low, high] = panel.range;
    const gain = (hi - lo) / (2 * VIEW) / (high - low) * size;
    const shift = ((lo + hi) / 2 - low) / (high - low) * size;
    for (let i = 0; i < frame.codes.length; i++) {
      const at = frame.codes[i] === NONE ? NaN : frame.codes[i] * gain + shift;
      out[i] = i % 2 ? size - at : at;
    }
    return out;
  }

  // How marks look, in pixels of a panel of that side: the same rules as in core/drawing/painters.py.
  const dots = (kind, count, side, scale) => {
    const quarter = radius => Math.max(1, Math.round(4 * radius)) / 4;
    if (kind === 'backdrop') return { radius: quarter(Math.max(0.7 * scale, side / 300)), opacity: 0.6 };
    if (kind === 'paths') return { radius: quarter(Math.max(1.2 * scale, side / 110)), opacity: 0.95 };
    const crowd = Math.max(1, count / 1000);
    return {
      radius: quarter(Math.max(0.75 * scale, side / 200 / crowd ** 0.25)), opacity: Math.max(0.3, 0.8 / crowd ** 0.4),
    };
  };
  const FRESH = 0.75, TRACE = 0.22; // a trail at its head, and what remains of it

  // Points, and paths: a trail shows a pixel from the frame in which a point first came by, so that any frame costs
  // the same.
  class Points {
    constructor() { this.buffer = new Buffer(); }

    paint(context, size, panel, k, look) {
      const { buffer } = this, count = panel.shape[0], rgb = bytes(look.colours[panel.palette]);
      buffer.size(size, size);
      buffer.words.fill(0);
      this.backdrop(context, size, panel, look);
      if (panel.kind === 'paths') this.trails(size, panel, k, word(rgb, 0), look);
      if (!this.spots || this.spots.length !== 2 * count) this.spots = new Float32Array(2 * count);
      spots(panel.at(k), panel, size, this.spots);
      const { radius, opacity } = dots(panel.kind, count, size, look.scale);
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
        context.imageSmoothingEnabled = true;
        context.drawImage(this.map.canvas, 0, 0, size, size);
      }
      if (!panel.backdrop) return;
      const name = [size, panel.range, look.theme, panel.version].join();
      if (this.ground !== name) {
        this.ground = name;
        this.under = new Buffer();
        this.under.size(size, size);
        const { codes } = panel.backdrop, at = new Float32Array(codes.length);
        spots(panel.backdrop, panel, size, at);
        const { radius, opacity } = dots('backdrop', 0, size, look.scale);
        const bg = bytes(look.colours.bg), faint = bytes(look.colours.sub).map((v, i) => bg[i] + 0.45 * (v - bg[i]));
        splat(this.under, at, at.length / 2, size, radius, faint, opacity);
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
      const width = Math.min(2, Math.max(0.8, size / look.scale / 260)) * Math.min(1, (300 / panel.shape[0]) ** 0.25);
      const faded = new Float32Array(k + 1); // by the frame in which a pixel was first crossed
      const forget = 5 / Math.max(look.frames, 5);
      for (let born = 0; born <= k; born++) {
        faded[born] = width * Math.max(TRACE, FRESH * Math.exp((born - k) * forget));
      }
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
      return { marked: index, text: `#${index}  ${N.short(value(0))} ${N.short(value(1))}` };
    }
  }

  // Arrows at the cell centres; one of length `scale` is as long as a cell.
  class Field {
    constructor() { this.points = new Points(); }

    arrow(panel, frame, n) {
      const gain = frame.scale / CELL, x = frame.codes[2 * n], y = frame.codes[2 * n + 1];
      return x === NONE || y === NONE ? [NaN, NaN] : [x * gain, y * gain];
    }

    paint(context, size, panel, k, look) {
      const frame = panel.at(k), [grid] = panel.shape, cell = size / grid;
      this.points.backdrop(context, size, panel, look);
      context.beginPath();
      for (let n = 0; n < grid * grid; n++) {
        const [vx, vy] = this.arrow(panel, frame, n);
        const reach = cell / Math.max(panel.scale, Math.hypot(vx, vy)); // longer ones than a cell saturate
        const dx = vx * reach, dy = -vy * reach, length = Math.hypot(dx, dy);
        if (!(length > 0.4 * look.scale)) continue;
        const x = (n % grid + 0.5) * cell - dx / 2, y = size - (Math.floor(n / grid) + 0.5) * cell - dy / 2;
        const head = 0.9 * Math.min(length / 3, 5 * look.scale) / length;
        context.moveTo(x, y);
        context.lineTo(x + dx, y + dy);
        context.moveTo(x + dx - head * (dx + 0.48 * dy), y + dy - head * (dy - 0.48 * dx));
        context.lineTo(x + dx, y + dy);
        context.lineTo(x + dx - head * (dx - 0.48 * dy), y + dy - head * (dy + 0.48 * dx));
      }
      context.lineWidth = Math.min(1.6 * look.scale, Math.max(0.8 * look.scale, cell / 12));
      context.lineJoin = 'round';
      context.strokeStyle = look.colours[panel.palette];
      context.stroke();
    }

    probe(x, y, size, panel, k) {
      const [grid] = panel.shape, cell = size / grid;
      const column = Math.floor(x / cell), row = Math.floor((size - y) / cell);
      if (column < 0 || row < 0 || column >= grid || row >= grid) return null;
      const [vx, vy] = this.arrow(panel, panel.at(k), row * grid + column);
      return { text: `(${N.short(vx)}, ${N.short(vy)})  |·| ${N.short(Math.hypot(vx, vy))}` };
    }
  }

  N.painter = kind => new { images: Pixels, heat: Pixels, points: Points, paths: Points, field: Field }[kind]();
})(window.Noisescope = window.Noisescope || {});
