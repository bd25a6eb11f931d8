// @ts-check
// Arrows at the cell centres; one of length `scale` is as long as a cell.

import { CELL, NONE } from './codes.js';
import { short } from './format.js';
import { marks, within } from './marks.js';
import { Points } from './points.js';

export class Field {
  points = new Points();

  arrow(frame, n) {
    const gain = frame.scale / CELL, x = frame.codes[2 * n], y = frame.codes[2 * n + 1];
    return x === NONE || y === NONE ? [NaN, NaN] : [x * gain, y * gain];
  }

  paint(context, size, panel, k, look) {
    const frame = panel.at(k), [grid] = panel.shape, cell = size / grid;
    const { least, headed, head, angle } = marks.arrow;
    this.points.backdrop(context, size, panel, look);
    context.beginPath();
    for (let n = 0; n < grid * grid; n++) {
      const [vx, vy] = this.arrow(frame, n);
      const reach = cell / Math.max(panel.scale, Math.hypot(vx, vy)); // longer ones than a cell saturate
      const dx = vx * reach, dy = -vy * reach, length = Math.hypot(dx, dy);
      if (Number.isNaN(length)) continue;
      const [ux, uy] = length > 0 ? [dx / length, dy / length] : [1, 0], shaft = Math.max(length, least * look.scale);
      const x = (n % grid + 0.5) * cell, y = size - (Math.floor(n / grid) + 0.5) * cell;
      const tipX = x + ux * shaft / 2, tipY = y + uy * shaft / 2;
      context.moveTo(x - ux * shaft / 2, y - uy * shaft / 2);
      context.lineTo(tipX, tipY);
      if (length <= headed * look.scale) continue;
      const barb = within(head, length, look.scale), along = barb * Math.cos(angle), aside = barb * Math.sin(angle);
      context.moveTo(tipX - along * ux - aside * uy, tipY - along * uy + aside * ux);
      context.lineTo(tipX, tipY);
      context.lineTo(tipX - along * ux + aside * uy, tipY - along * uy - aside * ux);
    }
    context.lineWidth = within(marks.arrow.width, cell, look.scale);
    context.lineJoin = 'round';
    context.strokeStyle = look.colours[panel.palette];
    context.stroke();
  }

  probe(x, y, size, panel, k) {
    const [grid] = panel.shape, cell = size / grid;
    const column = Math.floor(x / cell), row = Math.floor((size - y) / cell);
    if (column < 0 || row < 0 || column >= grid || row >= grid) return null;
    const [vx, vy] = this.arrow(panel.at(k), row * grid + column);
    return { text: `(${short(vx)}, ${short(vy)})  |·| ${short(Math.hypot(vx, vy))}` };
  }
}
