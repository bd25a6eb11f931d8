// Brings the chunks of a film, each once, in whatever order and however often the list of them is told.
(function (N) {
  'use strict';

  // Of a file in the server's cache, wherever the page is served from.
  const address = path => `${window.gradio_config?.root ?? '.'}/gradio_api/file=${path.split('/').map(encodeURIComponent).join('/')}`;

  N.Loader = class {
    constructor({ arrived, failed }) {
      Object.assign(this, { arrived, failed, film: null, known: new Set(), listed: 0, busy: 0 });
    }

    // `value` is {film, chunks: [{path}…], …} as the server sends it.
    load(value) {
      if (!this.film || this.film.id !== value.film) {
        this.film = new N.Film(value.film);
        this.known = new Set();
        this.busy = 0;
      }
      for (const { path } of value.chunks) {
        const url = address(path);
        if (this.known.has(url)) continue;
        this.known.add(url);
        this.bring(url, this.film, this.listed++);
      }
      return this.film;
    }

    async bring(url, film, serial) {
      this.busy++;
      try {
        const answer = await fetch(url);
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        const header = N.decode(await answer.arrayBuffer());
        if (film !== this.film) return;
        this.busy--;
        film.add(header, serial);
        this.arrived(header);
      } catch (error) {
        if (film !== this.film) return;
        this.busy--;
        this.known.delete(url);
        this.failed(error);
      }
    }
  };
})(window.Noisescope = window.Noisescope || {});
