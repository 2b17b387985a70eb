// A mix as the part of an address after `#`: voice=0.7&music=0.2. It never reaches a server by itself.

import { weight as written } from "./format.js";

const NAME = /^[a-z0-9_-]{1,64}$/;
const MOST = 10_000;

/**
 * Read the mix that an address holds.
 * @returns {{weights: object|null, problem: string}} The weights; null where it holds none, or one that is not valid.
 */
export function readMix(hash) {
  const text = hash.replace(/^#/, "");
  if (!text.includes("=")) return { weights: null, problem: "" };
  const weights = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const problem = problemOf(name, value, weights);
    if (problem) return { weights: null, problem: `The link holds no valid mix: ${problem}` };
    weights[name] = Number(value);
  }
  if (!Object.values(weights).some((weight) => weight > 0)) {
    return { weights: null, problem: "The link holds no valid mix: all its weights are 0; accepted: one above 0." };
  }
  return { weights, problem: "" };
}

function problemOf(name, value, weights) {
  if (!NAME.test(name)) return `"${name.slice(0, 80)}" is not a category; accepted: [a-z0-9_-], 1 to 64 characters.`;
  if (name in weights) return `${name} is there twice; accepted: each category once.`;
  if (Object.keys(weights).length >= MOST) return `it has more than ${MOST} categories.`;
  return parseWeight(value) === null ? `${name}=${value.slice(0, 40)}; accepted: a number of at least 0.` : "";
}

/** Read a weight that somebody typed; null where it is none. */
export function parseWeight(text) {
  const trimmed = text.trim().replace(",", ".");
  return /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) && Number.isFinite(Number(trimmed)) ? Number(trimmed) : null;
}

/** Write a mix as the part of an address after `#`. */
export function writeMix(weights) {
  const pairs = Object.entries(weights).filter(([, weight]) => weight > 0);
  return `#${pairs.map(([name, weight]) => `${name}=${written(weight)}`).join("&")}`;
}
