// The arithmetic of a mix: weights are relative numbers by category, shares are what they come to.

const LEAST_MOVE = 5e-10; // versions round shares to 9 decimals

/** Add up weights. */
export function total(weights) {
  return Object.values(weights).reduce((sum, weight) => sum + weight, 0);
}

/** Return the shares of weights, summing to 1; all 0 where no weight is above 0. */
export function shares(weights) {
  const sum = total(weights);
  return Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, sum > 0 ? weight / sum : 0]));
}

/**
 * Move one weight. Locked categories keep their share: the others give way in proportion, and the sum stays.
 * @param {object} weights The weights before.
 * @param {string} name The category that moves.
 * @param {number} weight Where to.
 * @param {Set<string>} locked Categories that keep their share.
 * @returns {{weights: object, problem: string}} The weights after, and why it cannot be done as asked.
 */
export function move(weights, name, weight, locked) {
  if (locked.has(name)) return { weights, problem: `${name} is locked.` };
  const held = [...locked].filter((one) => weights[one] > 0);
  if (!held.length) return { weights: { ...weights, [name]: weight }, problem: "" };
  const others = Object.keys(weights).filter((one) => one !== name && !locked.has(one) && weights[one] > 0);
  if (!others.length) return { weights, problem: `All others are locked: nothing can give way to ${name}.` };
  return { weights: giveWay(weights, name, weight, others, held), problem: "" };
}

function giveWay(weights, name, weight, others, held) {
  const free = total(weights) - held.reduce((sum, one) => sum + weights[one], 0);
  const moved = Math.min(weight, free);
  const scale = (free - moved) / others.reduce((sum, one) => sum + weights[one], 0);
  const rest = Object.fromEntries(others.map((one) => [one, Number((weights[one] * scale).toPrecision(12))]));
  return { ...weights, ...rest, [name]: moved };
}

/** Return the weights with one category alone. */
export function solo(weights, name) {
  const sole = Object.fromEntries(Object.keys(weights).map((one) => [one, 0]));
  return { ...sole, [name]: weights[name] > 0 ? weights[name] : 1 };
}

/**
 * Put wanted shares on top of somebody else's: those categories get the share that was wanted, the rest stays as
 * theirs, in proportion.
 * @param {object} theirs Shares in force.
 * @param {object} mine Shares that were wanted.
 * @param {string[]} names The categories that were moved.
 */
export function onTop(theirs, mine, names) {
  const wanted = Object.fromEntries(names.map((name) => [name, Number((mine[name] ?? 0).toFixed(9))]));
  const left = Math.max(0, 1 - total(wanted));
  const others = Object.entries(theirs).filter(([name]) => !names.includes(name));
  const sum = others.reduce((found, [, share]) => found + share, 0);
  const rest = others.map(([name, share]) => [name, sum > 0 ? Number(((share * left) / sum).toFixed(9)) : 0]);
  return { ...Object.fromEntries(rest), ...wanted };
}

/** List the shares that differ, the largest move first: `{name, before, after}`. */
export function moves(before, after) {
  const [from, to] = [shares(before), shares(after)];
  return [...new Set([...Object.keys(from), ...Object.keys(to)])]
    .map((name) => ({ name, before: from[name] ?? 0, after: to[name] ?? 0 }))
    .filter((one) => Math.abs(one.after - one.before) > LEAST_MOVE)
    .sort((one, other) => Math.abs(other.after - other.before) - Math.abs(one.after - one.before));
}

/** List the categories whose weight itself was moved. */
export function moved(before, after) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => (before[name] ?? 0) !== (after[name] ?? 0));
}
