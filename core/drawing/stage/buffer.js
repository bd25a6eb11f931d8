// @ts-check
// A canvas of its own size that is written pixel by pixel: it costs the same on every machine.

/** "#rrggbb" → [r, g, b] */
export const bytes = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

/** A pixel as ImageData holds it, on a little-endian machine. */
export const word = (rgb, alpha) => ((alpha << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0;

export class Buffer {
  width = 0;
  height = 0;
  canvas = document.createElement('canvas');
  context = this.canvas.getContext('2d');
  image = new ImageData(1, 1);
  words = new Uint32Array(1);

  /** Whether the size is a new one; all is clear then. */
  size(width, height) {
    if (this.width === width && this.height === height) return false;
    Object.assign(this, { width, height });
    Object.assign(this.canvas, { width, height });
    this.image = this.context.createImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);
    return true;
  }

  put() { this.context.putImageData(this.image, 0, 0); }
}
