// The scale of the faders: position is the square root of weight / top.
//
// A straight scale leaves no room for small shares: 1 % of 220 pixels is two of them. A logarithmic one has no zero.
// The square root has both: 1 % stands at a tenth of the way, 25 % at half. Meters use the same scale, so a meter that
// reaches the cap of its fader says that what is drawn is what was asked for.

const NICE = [1, 2, 5];
const TICKS = [1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.01, 0];

/** Return the weight at the upper end of the faders: a round number with some room above the largest weight. */
export function topFor(largest) {
  if (!(largest > 0)) return 1;
  const least = largest * 1.25;
  let power = 10 ** Math.floor(Math.log10(largest));
  for (;;) {
    for (const nice of NICE) if (nice * power >= least) return Number((nice * power).toPrecision(1));
    power *= 10;
  }
}

/** Return where a weight stands, 0 to 1. */
export function toPosition(weight, top) {
  return Math.sqrt(Math.min(Math.max(weight / top, 0), 1));
}

/**
 * Return the weight at a position, rounded to what a pixel can say.
 * @param {number} position 0 to 1.
 * @param {number} top The weight at 1.
 * @param {boolean} isFine Whether to round ten times finer.
 */
export function toWeight(position, top, isFine = false) {
  const exact = Math.min(Math.max(position, 0), 1) ** 2 * top;
  const step = exact < top / 10 ? top / 1000 : top / 200;
  return roundTo(exact, isFine ? step / 10 : step);
}

/** Return a weight moved by some hundredths of the scale, within it. */
export function stepped(weight, hundredths, top) {
  return roundTo(Math.min(Math.max(weight + (hundredths * top) / 100, 0), Math.max(top, weight)), top / 1e5);
}

/** Return the weights at which the scale has lines, the largest first. */
export function ticks(top) {
  return TICKS.map((part) => Number((part * top).toPrecision(6)));
}

function roundTo(value, step) {
  return Number((Math.round(value / step) * step).toPrecision(8));
}
