// The export popover: what the film should become. It asks, shows how far the server is, and downloads the answer.
(function (N) {
  'use strict';

  const FORMATS = [['gif', 'GIF'], ['mp4', 'MP4'], ['webp', 'WebP'], ['png', 'PNG strip'], ['trace', 'trace']];
  const SIZES = [160, 224, 320, 448], RATES = [10, 20, 30, 50], EVERY = [1, 2, 5, 10, 20];
  const STRIP = 8; // pictures in a PNG strip
  const PACES = { frame: 'as here', t: 'even in t', log_snr: 'even in log-SNR' };

  const field = (label, control) => N.make('label', 'ns-field', {}, N.make('span', '', {}, label), control);

  function choice(values, chosen, name = String) {
    const select = N.make('select', 'ns-select');
    for (const value of values) {
      const option = N.make('option', '', { value }, name(value));
      option.selected = value === chosen;
      select.append(option);
    }
    return select;
  }

  // `about()` tells {frames} of what is shown; `ask(options)` hands the wish to the server.
  N.Exporter = class {
    constructor({ about, ask }) {
      Object.assign(this, { about, ask });
      this.format = choice(FORMATS.map(f => f[0]), 'gif', f => FORMATS.find(([key]) => key === f)[1]);
      this.size = choice(SIZES, 224, v => `${v} px`);
      this.fps = choice(RATES, 20);
      this.every = choice(EVERY, 1, v => (v === 1 ? 'every frame' : `every ${v}th frame`));
      this.pacing = choice(['frame', 't', 'log_snr'], 'frame', v => PACES[v]);
      this.expected = N.make('span', 'ns-expected');
      this.go = N.make('button', 'ns-primary', { type: 'button' }, 'Export');
      this.bar = N.make('progress', 'ns-progress', { max: 1, value: 0, 'aria-label': 'export progress' });
      this.message = N.make('span', 'ns-message', { role: 'status' });
      this.fields = [field('size of a panel', this.size), field('frames a second', this.fps),
        field('frames', this.every), field('pace', this.pacing)];
      const opens = { type: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': false };
      this.button = N.make('button', 'ns-pill', opens, 'export');
      this.popover = N.make('div', 'ns-popover', { role: 'dialog', 'aria-label': 'export' },
        field('format', this.format), ...this.fields,
        N.make('div', 'ns-asked', {}, this.expected, this.go), this.bar, this.message);
      this.popover.hidden = true;
      this.node = N.make('div', 'ns-export', {}, this.button, this.popover);
      this.listen();
    }

    listen() {
      this.button.onclick = () => this.open(this.popover.hidden);
      this.popover.onchange = () => this.expect();
      this.popover.onkeydown = event => {
        if (event.key === 'Escape') { this.open(false); this.button.focus(); }
        event.stopPropagation();
      };
      this.outside = event => { if (!this.node.contains(event.target)) this.open(false); };
      this.go.onclick = () => {
        this.pending = true;
        this.state({ progress: 0, message: 'asked for it …' });
        this.ask(this.options());
      };
    }

    open(wanted) {
      this.popover.hidden = !wanted;
      this.button.setAttribute('aria-expanded', wanted);
      document[wanted ? 'addEventListener' : 'removeEventListener']('pointerdown', this.outside);
      if (wanted) { this.expect(); this.format.focus(); }
    }

    options() {
      return {
        format: this.format.value, size: Number(this.size.value), fps: Number(this.fps.value),
        every: Number(this.every.value), pacing: this.pacing.value,
      };
    }

    expect() {
      const { format, every, fps } = this.options(), count = Math.ceil(this.about().frames / every);
      this.fields.forEach(row => { row.hidden = format === 'trace'; });
      this.expected.textContent = format === 'trace' ? 'everything, to open again'
        : format === 'png' ? `${Math.min(count, STRIP)} pictures` : `${count} frames, ${N.short(count / fps)} s`;
    }

    // {progress 0…1, message, file: {url, orig_name}} from the server
    state(state) {
      if (!state || state === '') return;
      const busy = state.progress !== undefined && state.progress < 1 && !state.file;
      this.bar.value = state.progress || 0;
      this.bar.style.visibility = busy ? 'visible' : 'hidden';
      this.go.disabled = busy;
      this.message.textContent = state.message || '';
      if (busy || !this.pending) return;
      this.pending = false;
      if (!state.file) return;
      const link = N.make('a', '', { href: state.file.url, download: state.file.orig_name || '' });
      document.body.append(link);
      link.click();
      link.remove();
    }

    remove() { document.removeEventListener('pointerdown', this.outside); }
  };
})(window.Noisescope = window.Noisescope || {});
