// @ts-check
// How the curves of a chart run, in a sentence: for who does not see them.

import { short } from './format.js';
import { plain } from './markup.js';

const NEAR = 0.15; // of a reference's height: so near to it a curve lies on it
const EVEN = 0.02; // of what a curve spans: so near it lies on what has no height
const LEVEL = 0.05; // of its height: a curve that changes by less stays where it is
const PEAK = 0.2; // of what it spans, and 2 LEVEL: how far a curve goes beyond both its ends to have a peak, or a dip

/** @typedef {{x: number, y: number}[]} Points */

/** Points of a curve, as they are read from left to right; what is no number is left out. @returns {Points} */
function pointsOf({ x, y }, flip) {
  const points = [...x].map((at, k) => ({ x: at, y: y[k] })).filter(point => Number.isFinite(point.y));
  points.sort((a, b) => (flip ? b.x - a.x : a.x - b.x));
  return points;
}

/** Height of a curve at x, of its nearest point. */
const at = (points, x) => points.reduce((best, point) => (
  Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best)).y;

const between = (points, x) => {
  const k = points.findIndex((point, i) => i && (point.x - x) * (points[i - 1].x - x) <= 0);
  if (k < 0) return at(points, x);
  const [a, b] = [points[k - 1], points[k]];
  return a.x === b.x ? a.y : a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x);
};

/** "falls from 1.39 to 1.22, with a peak of 2 at 0.3" */
function runs(points) {
  const first = points[0].y, last = points[points.length - 1].y;
  const most = points.reduce((best, point) => (point.y > best.y ? point : best));
  const least = points.reduce((best, point) => (point.y < best.y ? point : best));
  const size = Math.max(Math.abs(first), Math.abs(last)), span = most.y - least.y;
  const level = Math.abs(last - first) <= LEVEL * size;
  const way = level ? `begins at ${short(first)} and ends at ${short(last)}`
    : `${last < first ? 'falls' : 'rises'} from ${short(first)} to ${short(last)}`;
  const far = Math.max(PEAK * span, 2 * LEVEL * size);
  const peak = most.y - Math.max(first, last) > far, dip = Math.min(first, last) - least.y > far;
  if (level && !peak && !dip) return `stays at ${short(last)}`;
  return way + (peak ? `, with a peak of ${short(most.y)} at ${short(most.x)}` : '') +
    (dip ? `, with a dip to ${short(least.y)} at ${short(least.x)}` : '');
}

/** Where it lies by a reference: "at the floor from 120 on", "1.22 times the floor at the end". */
function against(points, reference, name) {
  const span = Math.max(...points.map(({ y }) => y)) - Math.min(...points.map(({ y }) => y));
  const near = ({ x, y }) => {
    const there = between(reference, x);
    return Math.abs(y - there) <= Math.max(NEAR * Math.abs(there), EVEN * span);
  };
  const off = points.findLastIndex(point => !near(point)), last = points[points.length - 1];
  if (off < 0) return `on ${name} all the way`;
  if (off < points.length - 1) return `on ${name} from ${short(points[off + 1].x)} on`;
  const there = between(reference, last.x);
  return there > 0 && last.y > 0 ? `${short(last.y / there)} times ${name} at the end`
    : `${short(last.y - there)} from ${name} at the end`;
}

/** Whether it lies in a band: "inside the band", "outside the band from 0.4 to 0.1". */
function within(points, band, flip) {
  const high = pointsOf(band, flip), low = pointsOf({ x: band.x, y: band.low }, flip);
  const outside = points.filter(({ x, y }) => y > between(high, x) || y < between(low, x));
  if (!outside.length) return 'inside the band all the way';
  return `outside the band from ${short(outside[0].x)} to ${short(outside[outside.length - 1].x)}`;
}

/**
 * How the curves of a chart run, and how they lie by its band and by what is dashed in it; "" where there is none.
 * @param {{series: any[], flip: boolean, ends: string[]}} chart
 */
export function courseOf({ series, flip, ends }) {
  const curves = series.filter(({ style }) => style === 'line' || style === 'dots')
    .map(one => ({ name: plain(one.label), points: pointsOf(one, flip) })).filter(({ points }) => points.length > 1);
  const dashed = series.filter(({ style, label }) => style === 'dashed' && label)
    .map(one => ({ name: plain(one.label), points: pointsOf(one, flip) })).filter(({ points }) => points.length);
  const band = series.find(({ low }) => low);
  const said = curves.map(({ name, points }) => {
    const parts = [`${name || 'it'} ${runs(points)}`];
    if (band) parts.push(within(points, band, flip));
    for (const reference of dashed) parts.push(against(points, reference.points, reference.name));
    return parts.join(', ');
  }).join('; ');
  const [begin, end] = ends.map(plain);
  return said && begin && end ? `From ${begin} to ${end}: ${said}` : said;
}
