// @ts-check
// Chunks of a film as `pack.py` writes them, decoded without copying.

const TYPES = { u1: Uint8Array, i2: Int16Array, f4: Float32Array, f8: Float64Array };

/** Codes that were written as differences: see `pack.py`. */
function summed(bytes, type, shape) {
  const count = shape.reduce((a, b) => a * b, 1), size = count / (shape[0] || 1), codes = new type(count);
  const wide = type.BYTES_PER_ELEMENT === 2, sums = new Int32Array(size);
  for (let i = 0, n = 0; i < count; i++, n = n + 1 === size ? 0 : n + 1) {
    const zigzag = wide ? bytes[i] | (bytes[count + i] << 8) : bytes[i];
    codes[i] = sums[n] += (zigzag >>> 1) ^ -(zigzag & 1); // the type's size is the modulus
  }
  return codes;
}

/**
 * A chunk is a length, a JSON header and raw arrays; {dtype, shape, offset} in the header becomes a typed array.
 * @param {ArrayBuffer} buffer
 */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const array = ({ dtype, shape, offset, coding }) => (coding === 'delta'
    ? summed(new Uint8Array(buffer, 4 + length + offset), TYPES[dtype], shape)
    : new TYPES[dtype](buffer, 4 + length + offset, shape.reduce((a, b) => a * b, 1)));
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
