// @ts-check
// Which painter draws a kind of panel: one frame of it on a canvas, and what stands under a point of it.

import { Field } from './field.js';
import { Pixels } from './pixels.js';
import { Points } from './points.js';

const PAINTERS = { images: Pixels, heat: Pixels, points: Points, paths: Points, field: Field };

/** @param {keyof PAINTERS} kind */
export const painter = kind => new PAINTERS[kind]();
