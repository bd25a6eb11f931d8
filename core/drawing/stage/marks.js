// @ts-check
// How marks look: the one table that the stage and the renderer (`core/drawing/marks.py`) both draw by. Lengths in it
// are pixels of the page; `scale` is how many pixels of the screen one of them has.

import marks from '../marks.json' with { type: 'json' };

export { marks };

/**
 * A share of `side`, held between the rule's least and most pixels.
 * @param {{share: number, least?: number, most?: number}} rule
 */
export function within(rule, side, scale = 1) {
  return Math.min(Math.max(rule.share * side, (rule.least ?? 0) * scale), (rule.most ?? Infinity) * scale);
}

/**
 * Radius and opacity of `count` dots; in a crowd they are smaller and clearer, so that density shows; few are larger,
 * so that one alone is seen.
 * @param {'points' | 'paths' | 'backdrop'} kind
 */
export function dot(kind, count, side, scale = 1) {
  /** @type {{radius: {share: number, least: number}, opacity: number, faintest?: number, crowd?: any, few?: any}} */
  const rule = marks.dots[kind], { crowd, few } = rule;
  const times = crowd ? Math.max(1, count / crowd.from) : 1;
  const larger = few ? Math.max(1, few.below / Math.max(count, 1)) ** few.radius : 1;
  const radius = larger * rule.radius.share * side / times ** (crowd ? crowd.radius : 0);
  const opacity = Math.max(rule.faintest ?? 0, rule.opacity / times ** (crowd ? crowd.opacity : 0));
  return { radius: Math.max(radius, rule.radius.least * scale), opacity };
}

/** The width of one of `count` trails: finer where there are many. */
export function trailWidth(count, side, scale = 1) {
  const { width, crowd } = marks.trail;
  return within(width, side, scale) * Math.min(1, (crowd.from / count) ** crowd.width);
}

/** How much of a trail is seen `age` frames after its point came by, in a film of so many frames. */
export function trailStrength(age, frames) {
  const { fresh, trace, fades } = marks.trail;
  return Math.max(trace, fresh * Math.exp(-age * fades / Math.max(frames, fades)));
}
