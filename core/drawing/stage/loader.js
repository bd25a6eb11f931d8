// @ts-check
// Brings the chunks of a film, each once, in whatever order and however often the list of them is told.

import { decode } from './chunk.js';
import { Film } from './film.js';

export class Loader {
  /** @type {Film | null} */
  film = null;
  known = new Set(); // paths of chunks that were asked for
  listed = 0;
  busy = 0;

  /**
   * @param {object} uses
   * @param {(path: string) => Promise<ArrayBuffer>} uses.bring where chunks come from
   * @param {() => void} uses.arrived
   * @param {(error: Error) => void} uses.failed
   */
  constructor({ bring, arrived, failed }) {
    this.bring = bring;
    this.arrived = arrived;
    this.failed = failed;
  }

  // `value` is {film, chunks: [{path}…], …} as the server sends it.
  load(value) {
    if (!this.film || this.film.id !== value.film) {
      this.film = new Film(value.film);
      this.known = new Set();
      this.busy = 0;
    }
    for (const { path } of value.chunks) {
      if (this.known.has(path)) continue;
      this.known.add(path);
      this.add(path, this.film, this.listed++);
    }
    return this.film;
  }

  async add(path, film, serial) {
    this.busy++;
    try {
      const header = decode(await this.bring(path));
      if (film !== this.film) return;
      this.busy--;
      film.add(header, serial);
      this.arrived();
    } catch (error) {
      if (film !== this.film) return;
      this.busy--;
      this.known.delete(path);
      this.failed(error);
    }
  }
}
