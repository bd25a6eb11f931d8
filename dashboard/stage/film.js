// A film as it arrives: chunks of frames, decoded without copying, kept until the next film.
(function (N) {
  'use strict';

  const TYPES = { u1: Uint8Array, i2: Int16Array, f4: Float32Array, f8: Float64Array };

  // A chunk is a length, a JSON header and raw arrays; {dtype, shape, offset} in the header becomes a typed array.
  function decode(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const array = ref => new TYPES[ref.dtype](buffer, 4 + length + ref.offset, ref.shape.reduce((a, b) => a * b, 1));
    for (const panel of header.panels || []) {
      panel.shape = panel.codes.shape;
      panel.codes = array(panel.codes);
      if (panel.backdrop) panel.backdrop = array(panel.backdrop);
      if (panel.map) panel.map = { shape: panel.map.shape, codes: array(panel.map) };
    }
    for (const name in header.numbers) header.numbers[name] = array(header.numbers[name]);
    for (const chart of header.charts) {
      for (const series of chart.series) {
        for (const axis of ['x', 'y', 'low']) if (series[axis]) series[axis] = array(series[axis]);
      }
      if (chart.cursor) chart.cursor = array(chart.cursor);
    }
    return header;
  }

  // One panel: the codes of every frame that has arrived, each with the range they were written in.
  class Panel {
    constructor(header) {
      Object.assign(this, { key: header.key, kind: header.kind, range: header.range.slice(), frames: [], version: 0 });
    }

    add(header, first) {
      const [count, ...shape] = header.shape;
      const size = shape.reduce((a, b) => a * b, 1);
      for (const name of ['title', 'note', 'caption', 'palette']) this[name] = header[name];
      this.shape = shape;
      // A range may grow while frames stream in: what is drawn is the union.
      this.range = [Math.min(this.range[0], header.range[0]), Math.max(this.range[1], header.range[1])];
      this.scale = Math.max(this.scale || 0, header.scale || 0) || null;
      if (header.backdrop) this.backdrop = { codes: header.backdrop, range: header.range };
      if (header.map) this.map = header.map;
      for (let k = 0; k < count; k++) {
        const codes = header.codes.subarray(k * size, (k + 1) * size);
        this.frames[first + k] = { codes, range: header.range, scale: header.scale };
      }
      this.version++;
    }

    // The frame at k, or the last one before it: a panel that stands still has frame 0 alone.
    at(k) {
      for (k = Math.min(k, this.frames.length - 1); k > 0 && !this.frames[k]; k--);
      return this.frames[k];
    }
  }

  class Film {
    constructor(id) {
      Object.assign(this, { id, panels: new Map(), numbers: {}, charts: [], cursors: [], version: 0 });
      Object.assign(this, { clock: '', sentence: '', formula: '', figures: [], source: '' });
      Object.assign(this, { total: 0, ready: 0, newest: -1, arrived: [] });
    }

    // `serial` is the chunk's place in the order of sending: texts and charts are those of the last one sent.
    add(header, serial) {
      const { first, count } = header;
      for (const part of header.panels) {
        if (!this.panels.has(part.key)) this.panels.set(part.key, new Panel(part));
        this.panels.get(part.key).add(part, part.shape[0] === count ? first : 0);
      }
      for (const name in header.numbers) {
        const kept = this.numbers[name] || (this.numbers[name] = []);
        header.numbers[name].forEach((value, k) => { kept[first + k] = value; });
      }
      if (serial >= this.newest) {
        this.newest = serial;
        for (const name of ['clock', 'sentence', 'formula', 'figures', 'source']) this[name] = header[name];
        if (header.charts.length) this.charts = header.charts;
      }
      header.charts.forEach((chart, i) => {
        const kept = this.cursors[i] || (this.cursors[i] = []);
        if (chart.cursor) chart.cursor.forEach((x, k) => { kept[first + k] = x; });
      });
      for (let k = 0; k < count; k++) this.arrived[first + k] = true;
      while (this.arrived[this.ready]) this.ready++;
      this.total = Math.max(this.total, header.total || 0, this.ready);
      this.version++;
    }

    text(template, k) {
      return N.fill(template, name => (this.numbers[name] || [])[k]);
    }

    // What must agree for the playhead to survive from one film to the next.
    get shape() {
      return this.total + '|' + [...this.panels.values()].map(p => p.key + ':' + p.kind).sort().join(',');
    }
  }

  Object.assign(N, { decode, Film });
})(window.Noisescope = window.Noisescope || {});
